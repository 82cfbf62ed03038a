// Reads a JSON list of header blocks (base64) from standard input; writes what each library reads in each of them.
import libmime from 'libmime'
import PostalMime from 'postal-mime'

const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)
const blocks = JSON.parse(Buffer.concat(chunks).toString()).map((block) => Buffer.from(block, 'base64'))

const read = async (block) => {
  const mail = await PostalMime.parse(Buffer.concat([block, Buffer.from('\r\n')]))
  const { from, sender, replyTo, to, cc, bcc, subject, date, messageId, inReplyTo, references } = mail
  const lines = libmime.decodeHeaders(block.toString('binary'))
  const words = {}
  for (const name of ['from', 'to', 'subject']) {
    words[name] = (lines[name] ?? []).map((value) => libmime.decodeWords(value))
  }
  return {
    'postal-mime': { from, sender, replyTo, to, cc, bcc, subject, date, messageId, inReplyTo, references },
    libmime: words,
  }
}

process.stdout.write(JSON.stringify(await Promise.all(blocks.map(read))))
