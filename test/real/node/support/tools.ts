import { onTestFinished } from 'vitest'
import { until } from '../../support/commands.ts'
import type { Node } from './node.ts'

// Stops the first process whose command line fits as soon as it is there, and tells its number. Whoever asks says first that it is watching.
const stop = `$| = 1; print "watching\\n";
for (;;) {
  for my $path (glob "/proc/[0-9]*/cmdline") {
    open(my $file, "<", $path) or next;
    local $/;
    my $words = <$file>;
    next unless defined $words;
    $words =~ tr/\\0/ /;
    next unless $words =~ /$ARGV[0]/;
    $path =~ /(\\d+)/;
    kill("STOP", $1) or next;
    print "$1\\n";
    exit;
  }
  select(undef, undef, undef, 0.01);
}`

/** A program of the node that was stopped in the middle of its work. */
export interface StoppedTool {
  readonly pid: string
  /** Whether it is still there. */
  isThere(): Promise<boolean>
  goOn(): Promise<void>
}

/** Waits for a program whose command line fits a regular expression of Perl, and stops it. Resolves when it is being waited for. */
export async function stopping(node: Node, commandLine: string): Promise<() => Promise<StoppedTool>> {
  const { shell } = node
  const { channel, ended } = await shell.start(['perl', '-e', stop, commandLine])
  ended.catch(() => undefined)
  let said = ''
  channel.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  onTestFinished(() => void channel.end())
  await until('a watch over programs', () => said.startsWith('watching\n'))
  return async () => {
    const pid = await until(`a program like ${commandLine}`, () => /^(\d+)\n/m.exec(said)?.[1])
    const goOn = async (): Promise<void> => {
      await shell.attempt(['kill', '-CONT', pid])
    }
    onTestFinished(goOn)
    return { pid, goOn, isThere: async () => (await shell.attempt(['test', '-e', `/proc/${pid}`])).code === 0 }
  }
}
