import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { isUnicode, type Output, type Screen, screenOn } from '../../../examples/demo/screen.ts'

const introducer = '\x1b'

function written(show: (screen: Screen) => void, output: Partial<Output> = {}, unicode = true): string {
  let text = ''
  show(
    screenOn(
      {
        ...output,
        write: (part: string) => {
          text += part
        },
      },
      unicode,
    ),
  )
  return text
}

const terminal = (columns: number): Partial<Output> => ({ isTTY: true, columns, hasColors: () => true })

function everything(screen: Screen): void {
  screen.title('A title')
  screen.section('A section')
  screen.say('label', `a sentence that is longer than a narrow terminal is wide, ${'word '.repeat(20)}`)
  screen.mark('good', 'label', 'a sentence')
  screen.mark('bad', 'a-label-that-is-longer-than-its-column', 'a sentence')
  screen.table(['NAME', 'SIZE', 'HOW'], [['volume', '1 GiB', `a-word-without-spaces-${'x'.repeat(150)}`]])
  const task = screen.task('task', `a task with a long name, ${'word '.repeat(30)}`)
  task.update('half')
  task.end('good', 'done')
}

describe('piped', () => {
  test('every line is plain and written once', () => {
    const text = written(everything)
    expect(text).not.toContain(introducer)
    expect(text).not.toContain('\r')
    expect(text).not.toContain('half')
    expect(text.match(/a task with/g)).toHaveLength(1)
    expect(text.endsWith('\n')).toBe(true)
  })

  test('no sentence is broken', () => {
    expect(written((screen) => screen.say('label', 'word '.repeat(100).trim()))).toContain('word '.repeat(100).trim())
  })
})

describe('on a terminal', () => {
  test.each([46, 80, 110, 300])('no line is wider than %i columns', (columns) => {
    const text = written(everything, { ...terminal(columns), hasColors: () => false })
    for (const line of text.split('\n')) expect(line.length).toBeLessThan(columns)
  })

  test('a moving line stays on one row, and is replaced by its end', () => {
    const text = written((screen) => {
      const task = screen.task('task', 'word '.repeat(100))
      task.update('half')
      task.end('good', 'done')
    }, terminal(40))
    const frames = text.split('\r\x1b[2K').slice(1, -1)
    expect(frames).toHaveLength(2)
    for (const frame of frames) expect(stripVTControlCharacters(frame).length).toBeLessThan(40)
    expect(text.split('\r\x1b[2K').at(-1)).toContain('done')
  })

  test('whatever is written next ends a moving line', () => {
    const text = written((screen) => {
      screen.task('task', 'given up')
      screen.mark('bad', 'stopped', 'why')
    }, terminal(80))
    const [moving, after] = text.split('given up')
    expect(moving).not.toContain('stopped')
    expect(after).toMatch(/^\r.\[2K.*stopped/s)
  })

  test('without colours there are no escape codes at all', () => {
    expect(written(everything, { ...terminal(80), hasColors: () => false })).not.toContain(introducer)
  })
})

test('what would move the cursor is shown as a question mark', () => {
  const text = written((screen) => {
    screen.say('label', 'a\x1b[2Jb\nc')
    screen.table(['A', 'B'], [['x\ry', 'z\x07']])
  })
  expect(text).toContain('a?[2Jb?c')
  expect(text).toContain('x?y')
  expect(text).toContain('z?')
})

test('without Unicode the marks are words', () => {
  const text = written((screen) => screen.mark('bad', 'label', screen.arrow), {}, false)
  expect(text).toBe(' no label        ->\n')
})

test.each([
  [{ LANG: 'en_GB.UTF-8' }, true],
  [{ LANG: 'C.utf8' }, true],
  [{ LANG: 'C' }, false],
  [{}, false],
  [{ LANG: 'C.UTF-8', LC_ALL: 'C' }, false],
  [{ LANG: 'C', LC_CTYPE: 'C.UTF-8' }, true],
])('the locale %o: Unicode is %s', (environment, expected) => {
  expect(isUnicode(environment)).toBe(expected)
})
