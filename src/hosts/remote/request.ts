import { lvmReport } from '../../layers/lvm/command.ts'
import { coreScript as perlCore } from './perl/core.ts'
import { execScript as perlExec } from './perl/exec.ts'
import { mainScript as perlMain } from './perl/main.ts'
import { storageScript as perlStorage } from './perl/storage.ts'
import { usersScript as perlUsers } from './perl/users.ts'
import { quote } from './quote.ts'
import { coreScript as shellCore } from './shell/core.ts'
import { execScript as shellExec } from './shell/exec.ts'
import { mainScript as shellMain } from './shell/main.ts'
import { storageScript as shellStorage } from './shell/storage.ts'
import { usersScript as shellUsers } from './shell/users.ts'

/**
 * The command that a login shell has to start. It is the same for every call and means the same in every shell; all else goes through its standard input: first a
 * line that it evaluates, which reads and evaluates the script, which then reads what it is to do, one request after the other.
 */
export const bootCommand: string = [
  'exec env -i LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  `/bin/sh -c 'IFS= read -r line; eval "$line"'`,
].join(' ')

/** The same as an argument vector, for transports that need no shell to carry it. */
export const bootArgv: readonly string[] = [
  ...['env', '-i', 'LC_ALL=C', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
  ...['/bin/sh', '-c', 'IFS= read -r line; eval "$line"'],
]

/** What runs the script. */
export type Interpreter = 'perl' | 'shell'

const endOfPerl = '#perl'
const endOfScript = '#go'

// Lines between the marks become the script. A mark that never comes means that the caller was lost: nothing is run.
const shellLoader = [
  `while IFS= read -r line; do [ "$line" = "${endOfPerl}" ] && break; done`,
  `n=$(printf "\\nx") n=\${n%x} s= go=`,
  `while IFS= read -r line; do [ "$line" = "${endOfScript}" ] && { go=1; break; }; s=$s$line$n; done`,
  '[ "$go" ] || exit 1',
  'unset n go; eval "$s"',
].join('; ')

// Lines up to the first mark become the script. Where it would not run, nothing was read by then, and the shell takes its turn.
const perlLoader = [
  'eval{require Fcntl;require Errno;require Config;$]>=5.01&&~0>4294967295}or exec"/bin/sh","-c",$ARGV[0]',
  'our$input="";my$end',
  `while(($end=index$input,"\\n${endOfPerl}\\n")<0){sysread(STDIN,$input,65536,length$input)or exit 1}`,
  'my$script=substr$input,0,$end+1,""',
  'eval$script',
  'die$@if$@',
].join(';')

const starts: Readonly<Record<Interpreter | 'any', string>> = {
  perl: `exec perl -e '${perlLoader}' 'exit 1'`,
  shell: shellLoader,
  any: `L='${shellLoader}'; command -v perl >/dev/null 2>&1 && exec perl -e '${perlLoader}' "$L"; eval "$L"`,
}

/** How the script comes by the rights of root. */
export type Elevation = 'none' | 'sudo' | 'sudo-with-password'

// With a password on the way, sudo may take the first line or leave it: so the script begins only after a mark, whoever has read what is before it. The password
// is tried by itself first, once: otherwise sudo would take lines of the script for further tries. It is in no argument: printf is the shell's own.
const startOfScript = '#begin'
const waitForStart = `while IFS= read -r line; do [ "$line" = "${startOfScript}" ] && break; done; IFS= read -r line; eval "$line"`
const environment = 'env -i LC_ALL=C PATH="$PATH"'
const needsSudo = 'command -v sudo >/dev/null || { echo "sudo: not found" >&2; exit 127; }'

const elevations: Readonly<Record<Elevation, readonly string[]>> = {
  none: [],
  sudo: [`${needsSudo}; exec sudo -n -- ${environment} /bin/sh -c 'IFS= read -r line; eval "$line"'`],
  'sudo-with-password': [
    [
      needsSudo,
      'IFS= read -r word',
      `printf "%s\\n" "$word" | sudo -k -S -p "" -v || { echo "sudo: not accepted" >&2; exit 1; }`,
      `{ printf "%s\\n" "$word"; unset word; exec cat; } | sudo -S -p "" -- ${environment} /bin/sh -c '${waitForStart}'`,
    ].join('; '),
  ],
}

export interface OpeningOptions {
  readonly elevation: Elevation
  /** Only with elevation `sudo-with-password`. */
  readonly password?: string | undefined
  /** What runs the script. Undefined: perl where there is one, else the shell. */
  readonly interpreter: Interpreter | undefined
  /** The only items that there will be. Left out: the script has to know them all. */
  readonly items?: readonly Item[]
}

export interface RequestOptions {
  /** Random, so that nothing that is read can hold it: what separates the answers. */
  readonly boundary: string
  /** Whether the script stays an ordinary user and puts sudo before single commands. */
  readonly sudoCommands: boolean
  /** Where output may be kept while commands run, best first; only a tmpfs is used. */
  readonly runtimeDirectories: readonly string[]
  readonly searchPath: readonly string[]
  /** Whether another request may follow on the same channel. */
  readonly keep: boolean
  /** Whether an earlier part of the batch has failed. */
  readonly failed: boolean
  /** Attributes of block devices that are looked for, relative to their directory in sysfs. */
  readonly attributes: readonly string[]
  /** Attributes of their partitions. */
  readonly slices: readonly string[]
  /** Stretches to probe: `from:offset:align:length`. */
  readonly ranges: readonly string[]
}

/** One thing that the script is to do: a list of parameters, of which bytes stay encoded. */
export type Item = readonly (string | Uint8Array)[]

/** What is sent first on a channel: how to come by the rights, and the script. */
export function encodeOpening({ elevation, password = '', interpreter, items }: OpeningOptions): Uint8Array {
  const lines = [
    ...elevations[elevation],
    ...(elevation === 'sudo-with-password' ? [password, startOfScript] : []),
    starts[interpreter ?? 'any'],
    ...(interpreter === 'shell' ? [] : perlScript),
    endOfPerl,
    ...(interpreter === 'perl' ? [] : shellScript(items)),
    endOfScript,
    '',
  ]
  return Buffer.from(lines.join('\n'))
}

const isCommand = ([name]: Item): boolean => name === 'exec'
const isLook = ([name]: Item): boolean => typeof name === 'string' && looking.has(name)

function shellScript(items: readonly Item[] | undefined): readonly string[] {
  const parts = [
    shellCore,
    items?.some(isCommand) !== false ? shellExec : '',
    items?.some(isLook) !== false ? lvmFunction + shellStorage + shellUsers : '',
    shellMain,
  ]
  return compact(parts.join(''))
}

/** What the script on a channel is to do next. */
export function encodeRequest(items: readonly Item[], options: RequestOptions): Uint8Array {
  const commands = items.some(isCommand)
  const lines = [
    ...[
      options.boundary,
      options.sudoCommands ? 'sudo' : '',
      options.runtimeDirectories.join(' '),
      options.searchPath.join(' '),
      ['head', 'dd', 'od', 'tr', 'stat', 'readlink', 'cat', ...(commands ? ['tail', 'rm', 'sleep'] : [])].join(' '),
      options.keep ? '1' : '',
      options.failed ? '1' : '',
      options.attributes.join(' '),
      options.slices.join(' '),
      options.ranges.join(' '),
      ...items.flat(),
    ].map(encodeParameter),
    '#run',
    '',
  ]
  return Buffer.from(lines.join('\n'))
}

const looking: ReadonlySet<string> = new Set([
  ...['storage', 'text', 'list', 'bytes', 'look', 'sizes', 'stretch', 'direct', 'page', 'writable', 'users', 'lvm'],
])

const lvmFunction = `lvm_report() {\n${lvmReport.map(quote).join(' ')}\n}\n`

// Comments and indentation are for its readers here.
function compact(script: string): readonly string[] {
  return script
    .split('\n')
    .map((line) => line.trimStart())
    .filter((line) => line !== '' && !line.startsWith('# '))
}

const perlScript = compact(
  [
    perlCore,
    perlExec,
    `sub lvm_report { return map { pack 'H*', $_ } qw(${lvmReport.map((word) => Buffer.from(word).toString('hex')).join(' ')}) }\n`,
    ...[perlStorage, perlUsers, perlMain],
  ].join(''),
)

/**
 * A parameter as a line. A dot goes before text, whose other bytes than printable ASCII are written as `\0ooo`, which printf's %b of every shell undoes; a hyphen
 * goes before bytes, which stay so until a pipe to a command takes them.
 */
export function encodeParameter(parameter: string | Uint8Array): string {
  const bytes = typeof parameter === 'string' ? Buffer.from(parameter) : parameter
  let text = typeof parameter === 'string' ? '.' : '-'
  for (const byte of bytes) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x5c
    text += plain ? String.fromCharCode(byte) : `\\0${byte.toString(8).padStart(3, '0')}`
  }
  return text
}
