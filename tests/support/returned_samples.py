"""Bounces in the formats of several mail servers; every name and number in them is made up."""

_OURS = "From: SOC <soc@provider.example>\nTo: anna@customer.example\nMessage-ID: <0a1b@provider.example>\nSubject: x\n"


def report(
    fields,
    *,
    message="Reporting-MTA: dns; mx.customer.example\nArrival-Date: Mon, 2 Mar 2026 10:00:01 +0000",
    subtype="delivery-status",
    header="From: MAILER-DAEMON@mx.customer.example\nSubject: Undelivered Mail Returned to Sender\n"
    "Auto-Submitted: auto-replied\n",
    text="This is the mail system at host mx.customer.example.",
):
    """Return a report (RFC 3464) as bytes; ``fields`` has one block for each recipient."""
    blocks = "\n\n".join([message, *([fields] if isinstance(fields, str) else fields)])
    return (
        (
            f"{header}To: bounce+abc@bounces.provider.example\nMIME-Version: 1.0\n"
            "Content-Type: multipart/report; report-type=delivery-status;\n"
            ' boundary="4XyZ.1772445601/mx.customer.example"\n\n'
            "This is a MIME-encapsulated message.\n\n--4XyZ.1772445601/mx.customer.example\n"
            f"Content-Description: Notification\nContent-Type: text/plain; charset=us-ascii\n\n{text}\n\n"
            "--4XyZ.1772445601/mx.customer.example\nContent-Description: Delivery report\n"
            f"Content-Type: message/{subtype}\n\n{blocks}\n\n--4XyZ.1772445601/mx.customer.example\n"
            f"Content-Type: text/rfc822-headers\n\n{_OURS}\n--4XyZ.1772445601/mx.customer.example--\n"
        )
        .replace("\n", "\r\n")
        .encode()
    )


def failed(address="anna@customer.example", status="5.1.1", said="550 5.1.1 no such user"):
    """Return the report of a failure in the format of Postfix."""
    return report(
        f"Final-Recipient: rfc822; {address}\nOriginal-Recipient: rfc822;{address}\nAction: failed\nStatus: {status}\n"
        f"Remote-MTA: dns; mail.customer.example\nDiagnostic-Code: smtp; {said}",
        message="Reporting-MTA: dns; mx.customer.example\nOriginal-Envelope-Id: 0a1b+40provider.example\n"
        "X-Postfix-Queue-ID: 4XyZ\nX-Postfix-Sender: rfc822; bounce+abc@bounces.provider.example",
    )


def delayed(address="anna@customer.example"):
    return report(
        f"Final-Recipient: rfc822; {address}\nAction: delayed\nStatus: 4.4.1\n"
        "Diagnostic-Code: X-Postfix; connect to mail.customer.example[192.0.2.7]:25:\n Connection timed out\n"
        "Will-Retry-Until: Sat, 7 Mar 2026 10:00:01 +0000",
        text="THIS IS A WARNING ONLY. YOU DO NOT NEED TO RESEND YOUR MESSAGE.",
    )


def succeeded(action="delivered", address="anna@customer.example", status="2.0.0"):
    return report(
        f"Final-Recipient: rfc822; {address}\nAction: {action}\nStatus: {status}\n"
        "Diagnostic-Code: X-Postfix; delivery via local: delivered to mailbox",
        header="From: MAILER-DAEMON@mx.customer.example\nSubject: Successful Mail Delivery Report\n",
    )


EXCHANGE = report(
    "Final-recipient: RFC822; anna@customer.example\nAction: failed\nStatus: 5.1.10\n"
    "Diagnostic-code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient anna@customer.example not found\n"
    " by SMTP address lookup\nX-Display-Name: Anna",
    message="Received-From-MTA: dns;relay.provider.example\nReporting-MTA: dns;EX1.customer.example",
    header="From: Microsoft Outlook <postmaster@customer.example>\nSubject: =?utf-8?Q?Unzustellbar:_x?=\n"
    "Auto-Submitted: auto-replied\nX-MS-Exchange-Message-Is-Ndr:\n",
)
GMAIL = report(
    "Final-Recipient: rfc822; anna@customer.example\nAction: failed\nStatus: 5.2.2\n"
    "Remote-MTA: dns; gmail-smtp-in.l.google.com. (2001:db8::1b, the server for the domain customer.example.)\n"
    "Diagnostic-Code: smtp; 552-5.2.2 The recipient's inbox is out of storage space.\n 552 5.2.2 abc - gsmtp\n"
    "Last-Attempt-Date: Mon, 02 Mar 2026 02:00:05 -0800 (PST)",
    message="Reporting-MTA: dns; googlemail.com\nArrival-Date: Mon, 02 Mar 2026 02:00:01 -0800 (PST)\n"
    "X-Original-Message-ID: <0a1b@provider.example>",
    header="From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>\n"
    "Subject: Delivery Status Notification (Failure)\n"
    "X-Failed-Recipients: anna@customer.example\nAuto-Submitted: auto-replied\n",
)
SENDMAIL = report(
    "Original-Recipient: rfc822;anna@customer.example\nFinal-Recipient: RFC822; anna@customer.example\n"
    "Action: failed\nStatus: 4.4.7\nDiagnostic-Code: SMTP; 451 4.3.0 later\n"
    "Last-Attempt-Date: Sat, 7 Mar 2026 10:00:01 GMT",
    message="Reporting-MTA: dns; mx.customer.example\nReceived-From-MTA: DNS; relay.provider.example",
    header="From: Mail Delivery Subsystem <MAILER-DAEMON@mx.customer.example>\n"
    "Subject: Returned mail: see transcript for details\nAuto-Submitted: auto-generated (failure)\n",
)
EXIM = report(
    "Action: failed\nFinal-Recipient: rfc822;anna@customer.example\nStatus: 5.0.0\n"
    "Remote-MTA: dns; mail.customer.example\nDiagnostic-Code: smtp; 550 Unrouteable address",
    message="Reporting-MTA: dns; mx.customer.example",
    header="X-Failed-Recipients: anna@customer.example\nAuto-Submitted: auto-replied\n"
    "From: Mail Delivery System <Mailer-Daemon@mx.customer.example>\n"
    "Subject: Mail delivery failed: returning message to sender\n",
)
INTERNATIONALISED = report(
    "Final-Recipient: utf-8; ren\u00e9e@customer.example\nOriginal-Recipient: utf-8;ren\\x{E9}e@customer.example\n"
    "Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 bo\u00eete inconnue",
    subtype="global-delivery-status",
)


def message(header, text="", media_type="text/plain; charset=utf-8"):
    return (
        (f"{header}To: bounce+abc@bounces.provider.example\nMIME-Version: 1.0\nContent-Type: {media_type}\n\n{text}\n")
        .replace("\n", "\r\n")
        .encode()
    )


OLD_EXIM = message(
    "X-Failed-Recipients: anna@customer.example\nAuto-Submitted: auto-replied\n"
    "From: Mail Delivery System <Mailer-Daemon@mx.customer.example>\n"
    "Subject: Mail delivery failed: returning message to sender\n",
    "A message that you sent could not be delivered to one or more of its recipients.\n\n"
    "  anna@customer.example\n    SMTP error from remote mail server: 550 5.1.1 unknown",
)
QMAIL = message(
    "From: <>\nSubject: notice\n",
    "Hi. This is the qmail-send program at mx.customer.example.\nI'm afraid I wasn't able to deliver your message.\n\n"
    "<anna@customer.example>:\nSorry, no mailbox here by that name. (#5.1.1)",
)
OLD_EXIM_WARNING = message(
    "Auto-Submitted: auto-replied\nFrom: Mail Delivery System <Mailer-Daemon@mx.customer.example>\n"
    "Subject: Warning: message 1abc-000 delayed 24 hours\n",
    "No action is required on your part.",
)
OUT_OF_OFFICE = message(
    "From: Anna <anna@customer.example>\nSubject: Automatic reply: x\nAuto-Submitted: auto-generated\n"
    "X-Auto-Response-Suppress: All\n",
    "I am away.",
)
VACATION = message(
    "From: Anna <anna@customer.example>\nSubject: =?utf-8?q?Je_suis_en_cong=C3=A9s?=\n"
    "Auto-Submitted: auto-replied (vacation)\n",
    "À bientôt.",
)
OLD_VACATION = message("From: Anna <anna@customer.example>\nSubject: away\nPrecedence: bulk\n", "Away.")
READ_RECEIPT = message(
    "From: Anna <anna@customer.example>\nSubject: Read: x\n",
    "--r\nContent-Type: text/plain\n\nread\n--r\nContent-Type: message/disposition-notification\n\n"
    "Final-Recipient: rfc822;anna@customer.example\nDisposition: manual-action/MDN-sent-manually; displayed\n--r--",
    "multipart/report; report-type=disposition-notification; boundary=r",
)
COMPLAINT = message(
    "From: <fbl@customer.example>\nSubject: complaint\n",
    "--r\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: x\nVersion: 1\n--r--",
    "multipart/report; report-type=feedback-report; boundary=r",
)
ANSWER = message("From: Anna <anna@customer.example>\nSubject: Re: x\n", "Thank you, we are on it.")
