/**
 * An argument as a word of a shell command line. Written so that sh, bash, dash, ksh, zsh, busybox and fish read the same: a backslash and an exclamation mark stand
 * outside of quotes, because fish and interactive shells look at them inside. csh reads the same but for line breaks.
 *
 * @throws {TypeError} when it holds a NUL character, which no shell can carry
 */
export function quote(argument: string): string {
  if (argument.includes('\0')) throw new TypeError('An argument of a command cannot hold a NUL character.')
  if (/^[\w./:@%+,-][\w./:=@%+,-]*$/.test(argument)) return argument
  if (argument === '') return "''"
  return argument.replace(/'+|[\\!]|[^'\\!]+/g, (part) => {
    if (part.startsWith("'")) return `"${part}"`
    return part === '\\' || part === '!' ? `\\${part}` : `'${part}'`
  })
}
