"""The last sections of every notice: the contact point, and how to verify the notice."""

from notifications.wording.letter import Block, Commands, Items, Paragraph, Phrase, Remark, Rows, Section
from notifications.wording.personal_data import contact_point
from notifications.wording.reader import Reader

#: The S/MIME signature of the mail, then the signature and the timestamp of the notice itself.
_MAIL_COMMAND = "openssl cms -verify -in mail.eml -CAfile ca.pem -purpose smimesign -out /dev/null"
_NOTICE_COMMAND = (
    "openssl cms -verify -binary -inform DER -in notice.json.p7s -content notice.json -CAfile ca.pem"
    " -purpose smimesign -out /dev/null"
)
_TIMESTAMP_COMMAND = "openssl ts -verify -in notice.json.tsr -data notice.json.p7s -CAfile tsa.pem"
#: A shared timestamp is over the checkpoint, which is all that follows the first empty line of the proof.
_SHARED_COMMANDS = (
    "sed '1,/^$/d' notice.tlog-proof > checkpoint",
    "openssl ts -verify -in notice.json.tsr -data checkpoint -CAfile tsa.pem",
)
_GREFFIER_COMMAND = "greffier verify mail.eml --trust DIR"


def contact(reader: Reader) -> Section:
    """Return the contact point, the channel of further news, and the right to complain."""
    say, provider = reader.say, reader.document["provider"]
    rows = [(say("Contact point"), Phrase(contact_point(reader, provider["contact_point"])))]
    if provider["console_url"] is not None:
        rows.append(
            (
                reader.cited(say("Status and history"), "status_and_history"),
                Phrase(reader.name(provider["console_url"])),
            )
        )
    # An announcement has no handling of which there is news.
    news = [] if "announcement" in reader.document else [Paragraph(reader.cited(_news(reader), "news_channel"))]
    return Section(
        say("Contact"),
        (
            Rows(tuple(rows)),
            *news,
            Paragraph(reader.cited(say("You may complain to ANSSI at any time."), "complaint")),
        ),
    )


def _news(reader: Reader) -> str:
    """Return where news of the handling comes; documents of earlier releases name no channel."""
    say = reader.say
    match reader.document.get("news_channel"):
        case "console":
            return say(
                "News of the handling comes in your customer interface; it comes by e-mail only if nobody opens it"
                " there."
            )
        case "email":
            return say("News of the handling comes by e-mail to your contacts.")
        case _:
            return say("News of the handling comes through the channel that carried this notice.")


def checking(reader: Reader) -> Section:
    """Return how to verify the notice, and how far its timestamp can be trusted."""
    say, document = reader.say, reader.document
    shared = document["timestamping"] == "by_checkpoint"
    timestamp_commands = _SHARED_COMMANDS if shared else (_TIMESTAMP_COMMAND,)
    blocks: list[Block] = [
        Paragraph(
            say(
                "The notice is the attached file notice.json; this message puts it into words, and the file holds"
                " the digest of these words. Attached to it are:"
            )
        ),
        Items(
            (
                say("notice.json.p7s: our signature over the notice"),
                say(
                    "notice.json.tsr: a timestamp over the checkpoint at the end of notice.tlog-proof; it proves when"
                    " the signature existed, because the checkpoint covers it"
                )
                if shared
                else say("notice.json.tsr: a timestamp over that signature; it proves when it existed"),
                say("notice.tlog-proof: the proof that our audit log holds the notice"),
            )
        ),
        Paragraph(
            say(
                "If notice.json.tsr is missing, the timestamp authority had not answered when this message was sent;"
                " the timestamp follows and is kept with the notice."
            )
        ),
    ]
    if shared:
        blocks.append(
            Paragraph(say("This notice is timestamped together with others, through a checkpoint of the log."))
        )
    if document["timestamp_independent"] is False:
        blocks.append(
            Remark(
                say(
                    "The timestamp authority is operated by the provider itself: it is not independent, so that the"
                    " time rests on the provider's word."
                )
            )
        )
    if document["timestamp_independent"] is None:
        blocks.append(Paragraph(say("No timestamp authority has been named yet: the timestamp follows.")))
    blocks += [
        Paragraph(
            say(
                "You need the files ca.pem, tsa.pem and log.vkey, which we gave you through another channel; DIR is"
                " their folder. Save this message as mail.eml and its attachments beside it, then type:"
            )
        ),
        Commands((_GREFFIER_COMMAND, _MAIL_COMMAND, _NOTICE_COMMAND, *timestamp_commands)),
    ]
    return Section(say("How to check that this notice is genuine"), tuple(blocks))
