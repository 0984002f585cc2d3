import { markdownTable } from '../markdown.ts'
import type { WayName } from './cases.ts'
import { wayNames } from './cases.ts'
import type { SshSummary, WaySummary } from './results.ts'

const titles: Readonly<Record<WayName, string>> = {
  ours: 'this library, connected before',
  oursCold: 'this library, connecting',
  script: 'a script: one `ssh … sh -s`, connecting',
  steps: 'one `ssh` per step, connected before',
  connections: 'one `ssh` per step, connecting each time',
}

export const sshMethods = [
  'Growth over SSH: an XFS of 1 GiB on a loop device of 2 GiB, made anew for each measurement, on this machine’s own OpenSSH server, through a link that adds',
  'latency. The steps are lsblk, blockdev, xfs_growfs and df; only the library verifies what it found and what became of it. All take turns round by round;',
  'figures are medians, and ratios those of neighbours in one round to the script. Waits: what a millisecond of latency costs, which is how often the wire is',
  'waited for, one after the other.',
] as const

export function sshRows({ ways }: SshSummary): readonly (readonly string[])[] {
  const links = ways.ours.links.map(({ latency }) => `${latency} ms added`)
  return [
    ['', 'sessions', 'connections', 'waits', 'bytes sent', 'received', ...links],
    ...wayNames.map((name) => rowOf(titles[name], ways[name])),
  ]
}

function rowOf(title: string, { sessions, connections, waits, sent, received, links }: WaySummary): readonly string[] {
  return [
    title,
    `${sessions.median}`,
    `${connections.median}`,
    waits.toFixed(1),
    `${sent.median}`,
    `${received.median}`,
    ...links.map(({ milliseconds, ratio }) => `${milliseconds.median.toFixed(0)} ms, ${ratio.median.toFixed(2)} ×`),
  ]
}

/** For the README: counts, and ratios rather than times. */
export function sshReadme(summary: SshSummary): readonly string[] {
  const { ways } = summary
  const latencies = ways.script.links.map(({ latency }) => latency)
  const rows = wayNames.map((name) => {
    const { sessions, connections, waits, sent, received, links } = ways[name]
    return [
      titles[name],
      `${sessions.median}`,
      `${connections.median}`,
      waits.toFixed(1),
      `${((sent.median + received.median) / 1000).toFixed(1)} kB`,
      ...links.map(({ milliseconds, ratio }) => `${milliseconds.median.toFixed(0)} ms / ${ratio.median.toFixed(2)} ×`),
    ]
  })
  const head = ['', 'sessions', 'connections', 'waits', 'bytes', ...latencies.map((latency) => `+ ${latency} ms`)]
  return [
    `One growth of an XFS over SSH, with ${latencies.join(', ')} ms added to a round trip: wall time / beside the script:`,
    '',
    ...markdownTable([head, ...rows]),
    '',
    'Sessions are what the server has started, one after the other; waits, how often the wire is waited for in all, by what a millisecond of latency costs. The script and the steps are',
    '`lsblk`, `blockdev`, `xfs_growfs` and `df`, which nobody compares with anything.',
  ]
}
