import { onTestFinished } from 'vitest'
import type { GuestShell } from '../../../lab/node/shell.ts'
import { until } from '../../support/commands.ts'

/** The node has no Node.js, and everybody has Perl. What a record holds follows from its number, so that nothing else has to be kept. */
const record = 'sub record { sprintf("%-63s\\n", "record $_[0]") x 8 }'

// Tells of a record only once fsync has returned; ends when its standard input does. It breathes in between: the node has one emulated processor for everybody.
const write = `use IO::Handle; $| = 1; ${record}
open(my $file, ">", $ARGV[0]) or die "open: $!";
for (my $number = 0; ; $number++) {
  my $ready = "\\1";
  last if select($ready, undef, undef, 0.02);
  syswrite($file, record($number)) == 512 or die "write: $!";
  $file->sync or die "fsync: $!";
  print $number + 1, "\\n";
}`

const count = `${record}
open(my $file, "<", $ARGV[0]) or die "open: $!";
my ($number, $found) = (0, "");
$number++ while sysread($file, $found, 512) == 512 && $found eq record($number);
print $number;`

export interface GuestWriter {
  /** Records that are known to be on the disk. */
  confirmed(): number
  /** Ends it; resolves with the number of confirmed records. Fails when a write or an fsync had failed. */
  stop(): Promise<number>
}

/** A process in the node that writes and syncs many times a second. Resolves when its first record is on the disk. */
export async function startGuestWriter(shell: GuestShell, path: string): Promise<GuestWriter> {
  const { channel, ended } = await shell.start(['perl', '-e', write, path])
  let confirmed = 0
  let complaint = ''
  let code: number | undefined
  channel.setEncoding('utf8').on('data', (text: string) => {
    // A number may come in two pieces, which then are smaller than what came before.
    confirmed = Math.max(confirmed, ...text.split('\n').slice(0, -1).map(Number))
  })
  channel.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  ended.then(
    (end) => {
      code = end.code
    },
    // A node that is reset takes the writer with it, which is what those who reset it expect.
    () => undefined,
  )
  const stop = async (): Promise<number> => {
    channel.end()
    const end = await ended
    if (end.code !== 0) throw new Error(`The writer in the node ended with ${end.code}: ${complaint}`)
    return confirmed
  }
  onTestFinished(() => void channel.end())
  await until('the first record', () => {
    if (code !== undefined) throw new Error(`The writer in the node ended with ${code}: ${complaint}`)
    return confirmed > 0
  })
  return { confirmed: () => confirmed, stop }
}

/** How many records are in the file from its start, in order and intact. */
export async function intactGuestRecords(shell: GuestShell, path: string): Promise<number> {
  return Number(await shell.run('perl', '-e', count, path))
}
