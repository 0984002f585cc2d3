import type { Random } from './random.ts'

/** Pieces of text that programs have stumbled over. */
const pieces: readonly string[] = [
  ...['', ' ', '  ', '\t', '\n', '\r', '\r\n', '\v', '\f', '\u00a0', '\u2003', '\u3000', '\ufeff', '\u200b', '\u2028'],
  ...[
    '0',
    '1',
    '9',
    '00',
    '٣',
    '३',
    '１',
    '²',
    'Ⅷ',
    '½',
    '🯱',
    '−',
    '–',
    '‐',
    '+',
    '-',
    '--',
    '.',
    ',',
    '_',
    'e',
    'E',
    'x',
    '0x',
  ],
  ...[
    "'",
    '"',
    '`',
    '\\',
    '\\\\',
    '$(reboot)',
    '`reboot`',
    '$HOME',
    '*',
    '?',
    '[a-z]',
    '~',
    '!',
    '!!',
    '#',
    ';',
    '&',
    '|',
  ],
  ...[
    '<',
    '>',
    '(',
    ')',
    '{a,b}',
    '-n',
    '-e',
    '-rf',
    '--help',
    '-oProxyCommand=x',
    '\\n',
    '\\0101',
    '\\c',
    '%s',
    '%n',
    '%b',
    '%00',
  ],
  ...[
    '/',
    '//',
    '..',
    '../',
    '/../',
    './',
    '@',
    ':',
    '=',
    'a=b',
    '\u0001',
    '\u007f',
    '\u0085',
    '\u001b[2J',
    'ä',
    'e\u0301',
    '容',
  ],
  ...[
    '🦊',
    '\ud800',
    '\udc00',
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'null',
    'undefined',
    'NaN',
    'Infinity',
    'true',
  ],
  ...[
    '#run',
    '#go',
    '#begin',
    'EOF',
    "'\\''",
    '"$(x)"',
    '\n\n',
    '.',
    '-x',
    'Ki',
    'Gi',
    'GiB',
    'm',
    'n',
    'u',
    'k',
    'K',
    'E',
    'B',
  ],
]

export function nastyText(random: Random, most = 5): string {
  if (random.oneIn(400)) return random.pick(pieces).repeat(random.between(100, 20_000))
  return random
    .list(0, most, () => (random.oneIn(4) ? String.fromCodePoint(scalar(random)) : random.pick(pieces)))
    .join('')
}

/** Text that has bytes: without lone surrogates, and without NUL, which no argument can hold. */
export function nastyArgument(random: Random, most = 5): string {
  return Buffer.from(nastyText(random, most).slice(0, 3000)).toString().replaceAll('\0', '').replaceAll('\ufffd', '?')
}

function scalar(random: Random): number {
  const code = random.oneIn(2) ? random.below(0x80) : random.oneIn(2) ? random.below(0x800) : random.below(0x110000)
  return code >= 0xd800 && code < 0xe000 ? 0x40 : code
}

/** A valid text with some of it changed. */
export function mutatedText(random: Random, text: string): string {
  let changed = text
  for (let times = random.between(1, 3); times > 0; times -= 1) changed = mutateOnce(random, changed)
  return changed
}

function mutateOnce(random: Random, text: string): string {
  const at = random.below(text.length + 1)
  const length = random.between(1, 4)
  switch (random.below(7)) {
    case 0:
      return text.slice(0, at)
    case 1:
      return text.slice(at)
    case 2:
      return text.slice(0, at) + text.slice(at + length)
    case 3:
      return text.slice(0, at) + text.slice(Math.max(0, at - length))
    case 4:
      return text.slice(0, at) + nastyText(random, 2) + text.slice(at + length)
    case 5:
      return (
        text.slice(0, at) +
        String.fromCharCode((text.charCodeAt(at) || 0) ^ (1 << random.below(8))) +
        text.slice(at + 1)
      )
    default:
      return text.slice(0, at) + nastyText(random, 2) + text.slice(at)
  }
}

/** Shorter and plainer texts. */
export function* simplerText(text: string): Iterable<string> {
  for (let size = text.length; size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at + size <= text.length; at += size) yield text.slice(0, at) + text.slice(at + size)
  }
}

export function shownText(text: string): string {
  const shown = JSON.stringify(text)
  return shown.length > 2000 ? `${shown.slice(0, 1000)}… (${text.length} characters) …${shown.slice(-200)}` : shown
}
