import { spawnSync } from 'node:child_process'
import { quote } from '../../../src/hosts/remote/quote.ts'
import { encodeParameter } from '../../../src/hosts/remote/request.ts'
import { promise, type Target, target } from '../target.ts'
import { nastyArgument, shownText, simplerText } from '../text.ts'

const environment = { LC_ALL: 'C', PATH: process.env['PATH'], HOME: '/somewhere' }

const shells: readonly (readonly [string, ...string[]])[] = [['bash'], ['dash'], ['busybox', 'sh']]

function absent([program, ...args]: readonly [string, ...string[]]): string | undefined {
  return spawnSync(program, [...args, '-c', 'exit 0']).status === 0 ? undefined : `there is no ${program} here`
}

/** What a shell makes of a script, as the words that it printed with a NUL behind each. */
function wordsOf([program, ...args]: readonly [string, ...string[]], script: string): readonly string[] {
  const { stdout, stderr, status } = spawnSync(program, args, { input: script, env: environment, maxBuffer: 2 ** 28 })
  promise(
    status === 0 && stderr.length === 0,
    () => `${program} ended with ${status}: ${stderr.toString().slice(0, 300)}`,
  )
  return stdout.toString('utf8').split('\0').slice(0, -1)
}

function same(found: readonly string[], inputs: readonly string[]): string {
  const wrong = inputs.findIndex((input, index) => found[index] !== input)
  promise(wrong < 0, () => `${shownText(inputs[wrong] ?? '')} became ${shownText(found[wrong] ?? 'nothing')}`)
  promise(found.length === inputs.length, () => `${inputs.length} arguments became ${found.length}`)
  return 'the same'
}

/** Words on one command line, as an SSH server's shell gets them; a few dozen on each line. */
function quoted(shell: readonly [string, ...string[]]): Target {
  const check = (inputs: readonly string[]): string => {
    const lines: string[] = []
    for (let start = 0; start < inputs.length; start += 40) {
      lines.push(
        `printf '%s\\0' ${inputs
          .slice(start, start + 40)
          .map(quote)
          .join(' ')}`,
      )
    }
    return same(wordsOf(shell, `${lines.join('\n')}\n`), inputs)
  }
  return target<string>({
    name: `quoted-${shell[0]}`,
    promise: `an argument that is quoted for SSH is the same argument to ${shell.join(' ')}`,
    cases: 50_000,
    lacking: absent(shell),
    make: (random) => nastyArgument(random),
    check: (input) => check([input]),
    together: { size: 1000, check: async (inputs) => check(inputs) },
    simpler: simplerText,
    show: shownText,
  })
}

/** Parameters on standard input, undone as the script of the hosts undoes them. */
function encoded(shell: readonly [string, ...string[]]): Target {
  const script = [
    'while IFS= read -r line; do',
    '  case $line in',
    `    *\\\\*) line=$(printf '%bx' "\${line#.}"); printf '%s\\0' "\${line%x}" ;;`,
    `    *) printf '%s\\0' "\${line#.}" ;;`,
    '  esac',
    "done <<'end of the parameters'",
  ].join('\n')
  const check = (inputs: readonly string[]): string => {
    const lines = inputs.map(encodeParameter)
    for (const line of lines) promise(/^[.-][ -~]*$/.test(line), () => `${shownText(line)} is no plain line`)
    return same(wordsOf(shell, `${script}\n${lines.join('\n')}\nend of the parameters\n`), inputs)
  }
  return target<string>({
    name: `parameters-${shell[0]}`,
    promise: `a parameter of the hosts' script is the same text to ${shell.join(' ')}`,
    cases: 2000,
    lacking: absent(shell),
    make: (random) => nastyArgument(random),
    check: (input) => check([input]),
    together: { size: 500, check: async (inputs) => check(inputs) },
    simpler: simplerText,
    show: shownText,
  })
}

/** Shells that this machine lacks are named, and count for nothing. */
export const argumentTargets: readonly Target[] = [...shells.map(quoted), ...shells.map(encoded)]
