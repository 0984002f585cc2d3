/** Names of files and directories that must mean nothing but themselves. */
export const hostileNames: readonly string[] = [
  'with spaces and\ttab',
  `quo'tes"and\`more`,
  'new\nline',
  'ends with a new line\n',
  '$(touch pwned) $HOME; touch pwned &',
  '-rf --help',
  'a?offset=1024&b=c',
  'LABEL=data',
  'back\\slash\\040and%s*',
  'zażółć 大きい',
]
