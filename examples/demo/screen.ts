import { stripVTControlCharacters } from 'node:util'

/** What the demo needs to know of where its text goes; `process.stdout` is one. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
  hasColors?(): boolean
}

/** A line that changes until it is finished. */
export interface Task {
  update(state: string): void
  end(mark: Mark, state: string): void
}

export type Mark = 'good' | 'bad' | 'open' | 'plain'

/** What is printed: on a terminal fitted to its width, calmly coloured and with lines that move; piped, plain lines that are written once. */
export interface Screen {
  title(text: string): void
  section(text: string): void
  /** A labelled sentence. */
  say(label: string, text: string): void
  /** The last column takes what is left of the width, and is wrapped. */
  table(header: readonly string[], rows: readonly (readonly string[])[]): void
  /** A labelled sentence behind a mark. */
  mark(mark: Mark, label: string, text: string): void
  /** A line that moves on a terminal; anywhere else it is written when it ends. */
  task(label: string, text: string): Task
  /** An arrow that the terminal can show. */
  readonly arrow: string
}

const colours = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const

const indent = '    '
const labelWidth = 13
const widest = 110

/** @param unicode whether the terminal shows more than ASCII */
export function screenOn(output: Output, unicode: boolean): Screen {
  const terminal = output.isTTY === true
  const coloured = terminal && output.hasColors?.() === true
  const marks = unicode
    ? { good: '✓', bad: '✗', open: '•', plain: ' ' }
    : { good: 'ok', bad: 'no', open: '-', plain: ' ' }
  const markColours = { good: 'green', bad: 'red', open: 'yellow', plain: 'dim' } as const
  const paint = (colour: keyof typeof colours, text: string): string =>
    coloured && text !== '' ? `\x1b[${colours[colour]}m${text}\x1b[0m` : text
  // Asked every time: a terminal can be made narrower while the demo runs. A pipe has no width, and its lines are easier to search whole.
  const width = (): number =>
    terminal ? Math.max(24, Math.min(output.columns ?? 80, widest) - 1) : Number.MAX_SAFE_INTEGER
  let moving: NodeJS.Timeout | undefined
  // Whatever is written next ends a moving line, also one whose work was given up.
  const line = (text = ''): void => {
    if (moving !== undefined) output.write('\r\x1b[2K')
    clearInterval(moving)
    moving = undefined
    output.write(`${text.trimEnd()}\n`)
  }
  /** Writes a first cell of a fixed width, and the text wrapped beside it; below it where there is no room beside it. */
  const beside = (first: string, firstWidth: number, text: string): void => {
    const room = width() - firstWidth
    if (room < 24 && firstWidth > indent.length + 2) {
      line(first)
      beside(indent, indent.length + 2, text)
      return
    }
    const [head = '', ...rest] = wrap(text, room)
    line(`${pad(first, firstWidth)}${head}`)
    for (const part of rest) line(`${' '.repeat(firstWidth)}${part}`)
  }
  const marked = (mark: Mark, label: string, text: string): void => {
    const sign = marks[mark]
    const name = mark === 'plain' ? paint('dim', label) : label
    const first = `${' '.repeat(indent.length - 1 - sign.length)}${paint(markColours[mark], sign)} ${name}`
    beside(first, Math.max(indent.length + labelWidth, visible(first) + 2), text)
  }

  return {
    arrow: unicode ? '→' : '->',
    title: (text) => line(paint('bold', text)),
    section(text) {
      line()
      if (!terminal) {
        line(`== ${text}`)
        return
      }
      const rule = (unicode ? '─' : '-').repeat(Math.max(0, width() - text.length - 4))
      line(`${paint('dim', rule.slice(0, 2))} ${paint('bold', text)} ${paint('dim', rule)}`)
    },
    say: (label, text) => marked('plain', label, printable(text)),
    mark: (mark, label, text) => marked(mark, label, printable(text)),
    table(header, rows) {
      const widths = header.slice(0, -1).map((title, column) => {
        const cells = rows.map((row) => (row[column] ?? '').length)
        return Math.max(title.length, ...cells)
      })
      const first = (cells: readonly string[]): string =>
        indent + widths.map((cell, column) => `${(cells[column] ?? '').padEnd(cell)}  `).join('')
      const taken = first([]).length
      line()
      line(paint('dim', `${first(header)}${header.at(-1) ?? ''}`))
      for (const row of rows) beside(first(row.map(printable)), taken, printable(row.at(-1) ?? ''))
      line()
    },
    task: (label, text) => (terminal && coloured ? movingTask : stillTask)(label, printable(text)),
  }

  function stillTask(label: string, text: string): Task {
    return { update: () => {}, end: (mark, last) => marked(mark, label, ended(text, last)) }
  }

  function movingTask(label: string, text: string): Task {
    const frames = unicode ? ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] : ['|', '/', '-', '\\']
    let frame = 0
    let state = ''
    const draw = (): void => {
      const sign = frames[frame++ % frames.length] ?? ''
      // Cut to one row: a carriage return leads to the start of the last one only.
      const rest = `${label.padEnd(labelWidth)}${text}${state === '' ? '' : `: ${state}`}`
      output.write(
        `\r\x1b[2K${' '.repeat(indent.length - 2)}${paint('yellow', sign)} ${rest.slice(0, width() - indent.length)}`,
      )
    }
    draw()
    moving = setInterval(draw, 80)
    // A drawing never keeps the process alive.
    moving.unref()
    return {
      update(next) {
        state = printable(next)
        draw()
      },
      end: (mark, last) => marked(mark, label, ended(text, last)),
    }
  }
}

function ended(text: string, last: string): string {
  return `${text}: ${printable(last)}`
}

/** Whether the locale of the environment says that text is UTF-8. */
export function isUnicode(environment: Readonly<Record<string, string | undefined>>): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = environment
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '')
}

/** Names of files may hold anything; what would move the cursor is shown as a question mark. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?')
}

function visible(text: string): number {
  return stripVTControlCharacters(text).length
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - visible(text)))
}

/** Breaks at spaces, and within words that are longer than a line. */
function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = []
  let rest = text
  while (rest.length > width) {
    const space = rest.lastIndexOf(' ', width)
    const end = space > 0 ? space : width
    lines.push(rest.slice(0, end))
    rest = rest.slice(end).trimStart()
  }
  return [...lines, rest]
}
