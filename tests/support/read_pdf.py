"""Read PDFs with programs that are not ours: poppler's, and qpdf by pikepdf."""

import html
import io
import re
import subprocess

import pikepdf


def run(folder, content, program, *arguments, output="-"):
    """Return what a program of poppler prints of a PDF."""
    path = folder / "read.pdf"
    path.write_bytes(content)
    command = [program, *arguments, str(path), *([output] if output else [])]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def words_shown(folder, content):
    """Return the words of the pages without white space and without artefacts, such as header and footer of a page."""
    status, text = run(folder, _without_artefacts(content), "pdftotext", "-raw")
    assert status == 0
    return squeezed(text)


def _without_artefacts(content):
    with opened(content) as pdf:
        for page in pdf.pages:
            kept, marks = [], []
            for operands, operator in pikepdf.parse_content_stream(page):
                name = str(operator)
                if name in {"BMC", "BDC"}:
                    marks.append(str(operands[0]))
                elif name == "EMC":
                    marks.pop()
                if name not in {"Tj", "TJ", "'", '"'} or "/Artifact" not in marks:
                    kept.append((operands, operator))
            page.Contents = pdf.make_stream(pikepdf.unparse_content_stream(kept))
        made = io.BytesIO()
        pdf.save(made)
    return made.getvalue()


def squeezed(text):
    """Return text without white space, and without the marks by which poppler sets text that runs from the right."""
    return re.sub(r"[\s\u202a-\u202e\u2066-\u2069\u200e\u200f]+", "", text)


def opened(content):
    return pikepdf.open(io.BytesIO(content))


def attached(content):
    """Return the embedded files by name."""
    with opened(content) as pdf:
        return {name: file.get_file().read_bytes() for name, file in pdf.attachments.items()}


def faults_of_pdf_a_3(content):
    """Return the rules of PDF/A-3a (ISO 19005-3) that a file breaks, of those that can be read from its structure."""
    with opened(content) as pdf:
        return [name for name, holds in _rules(pdf, content) if not holds]


def _rules(pdf, content):
    root = pdf.Root
    metadata = root.Metadata.read_bytes().decode()
    yield "syntax", pdf.check_pdf_syntax() == []
    yield "version", content.startswith(b"%PDF-1.") and "/Version" not in root
    yield "binary comment", all(byte > 127 for byte in content.split(b"\n", 2)[1][1:5])
    yield "no encryption", not pdf.is_encrypted
    yield "file identifier", len(pdf.trailer.ID) == 2
    yield "metadata in clear", "/Filter" not in root.Metadata
    yield "part", "<pdfaid:part>3</pdfaid:part>" in metadata
    yield "conformance", "<pdfaid:conformance>A</pdfaid:conformance>" in metadata
    yield "title", f">{pdf.docinfo.Title}<" in html.unescape(metadata)
    stated = re.search(r"<xmp:ModifyDate>(.+?)</xmp:ModifyDate>", metadata)[1]
    told = "".join(re.findall(r"\d", stated.partition("+")[0]))
    yield "same times", re.sub(r"\D", "", str(pdf.docinfo.ModDate))[:14] == told
    intents = [intent for intent in root.OutputIntents if intent.S == "/GTS_PDFA1"]
    yield "output intent", len(intents) == 1 and intents[0].DestOutputProfile.N == 3
    yield "tagged", root.MarkInfo.Marked is True or bool(root.MarkInfo.Marked)
    yield "structure", "/K" in root.StructTreeRoot
    yield "language", bool(str(root.Lang))
    yield "title is shown", bool(root.ViewerPreferences.DisplayDocTitle)
    files = list(root.get("/AF", []))
    yield "files", len(files) == len(pdf.attachments)
    for file in files:
        wanted = {"/AFRelationship", "/Desc", "/EF", "/F", "/UF"}
        yield (
            f"file {file.UF}",
            wanted <= set(file.keys()) and "/Subtype" in file.EF.F and "/ModDate" in file.EF.F.Params,
        )
    for number, page in enumerate(pdf.pages, 1):
        yield f"tab order of page {number}", page.get("/Tabs") == "/S"
        for annotation in page.get("/Annots", []):
            yield "printed annotation", int(annotation.F) & 4 and not int(annotation.F) & 0b100011
    for item in pdf.objects:
        if not isinstance(item, pikepdf.Dictionary):
            continue
        if item.get("/Type") == "/FontDescriptor":
            yield f"font {item.FontName}", bool({"/FontFile2", "/FontFile3"} & set(item.keys()))
        if item.get("/Type") == "/Font" and item.get("/Subtype") == "/Type0":
            yield f"characters of {item.BaseFont}", "/ToUnicode" in item
        yield "no action", item.get("/S") not in {"/JavaScript", "/Launch", "/Sound", "/Movie", "/ResetForm"}


def tags_of(content):
    """Return the tags of the structure, in reading order."""
    tags = []

    def walk(item):
        if isinstance(item, pikepdf.Array):
            for each in item:
                walk(each)
        elif isinstance(item, pikepdf.Dictionary):
            if "/S" in item:
                tags.append(str(item.S)[1:])
            if "/K" in item:
                walk(item.K)

    with opened(content) as pdf:
        walk(pdf.Root.StructTreeRoot.K)
    return tags
