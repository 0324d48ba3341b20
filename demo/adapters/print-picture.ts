/**
 * Makes the picture of the README from a real run: reads the text of a demonstration from standard input and
 * prints it as an SVG. `everboot demo | node demo/adapters/print-picture.ts > docs/demo.svg`
 */
import { text } from 'node:stream/consumers'

const lineHeight = 19
const charWidth = 8.4
const margin = 24
const columns = 80

const bold = /^(\d |CHAPTER)/
const good = /^ {2}= (running|committed|refused)/
const back = /^ {2}= /

function picture(lines: readonly string[]): string {
  const width = Math.ceil(columns * charWidth + 2 * margin)
  const height = lines.length * lineHeight + 2 * margin + 24
  const rows = lines.map((line, index) => {
    const y = margin + 36 + index * lineHeight
    const style = bold.test(line) ? 'b' : good.test(line) ? 'g' : back.test(line) ? 'y' : 'n'
    return `<text x="${margin}" y="${y}" class="${style}">${escaped(line)}</text>`
  })
  const dots = ['#ff5f57', '#febc2e', '#28c840'].map(
    (color, index) => `<circle cx="${margin + 6 + index * 20}" cy="20" r="6" fill="${color}"/>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="A run of everboot demo">
<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre}.n{fill:#c9d1d9}.b{fill:#fff;font-weight:bold}.g{fill:#56d364}.y{fill:#e3b341}</style>
<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>
${dots.join('')}
${rows.join('\n')}
</svg>
`
}

function escaped(line: string): string {
  return line
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll(' ', '\u00a0')
}

const lines = (await text(process.stdin)).trimEnd().split('\n')
process.stdout.write(picture(['$ make demo', ...lines]))
