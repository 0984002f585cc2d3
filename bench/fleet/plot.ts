import type { FleetResult } from './run.ts'

const size = { width: 760, height: 420, left: 70, right: 70, top: 50, bottom: 60 }
const inner = { width: size.width - size.left - size.right, height: size.height - size.top - size.bottom }
const colours = ['#1b6ca8', '#c8553d', '#3a7d44', '#7a4ea3'] as const

/** Calls for each volume (solid, left) and p99 of the latency (dashed, right) against the window, one pair of lines for each account. */
export function plot(results: readonly FleetResult[]): string {
  const accounts = [...new Set(results.map(({ account }) => account))]
  const windows = [...new Set(results.map(({ window }) => window))].sort((a, b) => a - b)
  const [first = 0.1, last = 5] = [windows[0], windows.at(-1)]
  const mostCalls = Math.ceil(Math.max(...results.map(({ callsPerVolume }) => callsPerVolume)) * 2) / 2
  const mostLatency = Math.ceil(Math.max(...results.map(({ latency }) => latency.p99)))
  const x = (window: number): number => size.left + (Math.log(window / first) / Math.log(last / first)) * inner.width
  const y = (share: number): number => size.top + (1 - share) * inner.height
  const calls = ({ callsPerVolume }: FleetResult): number => y((callsPerVolume - 1) / Math.max(0.5, mostCalls - 1))
  const latency = (result: FleetResult): number => y(result.latency.p99 / mostLatency)
  const lines = accounts.flatMap((account, index) => {
    const own = results.filter((result) => result.account === account).sort((a, b) => a.window - b.window)
    const colour = colours[index % colours.length] ?? colours[0]
    const path = (of: (result: FleetResult) => number): string =>
      own
        .map(
          (result, position) => `${position === 0 ? 'M' : 'L'}${x(result.window).toFixed(1)},${of(result).toFixed(1)}`,
        )
        .join('')
    return [
      `<path d="${path(calls)}" fill="none" stroke="${colour}" stroke-width="2.5"/>`,
      `<path d="${path(latency)}" fill="none" stroke="${colour}" stroke-width="1.5" stroke-dasharray="6 4"/>`,
      ...own.map(
        (result) =>
          `<circle cx="${x(result.window).toFixed(1)}" cy="${calls(result).toFixed(1)}" r="3.5" fill="${colour}"/>`,
      ),
      text(
        size.left + 16,
        size.top + 18 + index * 18,
        `${account}: calls (solid), p99 latency (dashed)`,
        'start',
        colour,
      ),
    ]
  })
  const ticks = [0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
    `<line x1="${size.left}" x2="${size.width - size.right}" y1="${y(share)}" y2="${y(share)}" stroke="#ddd"/>`,
    text(size.left - 8, y(share) + 4, (1 + share * Math.max(0.5, mostCalls - 1)).toFixed(2), 'end'),
    text(size.width - size.right + 8, y(share) + 4, `${(share * mostLatency).toFixed(1)} s`, 'start'),
  ])
  const [{ volumes = 0 } = {}] = results
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${size.width}" height="${size.height}" fill="#fff"/>`,
    text(
      size.width / 2,
      24,
      `${volumes} EBS volumes grown at once: API calls for each volume, and latency`,
      'middle',
      '#222',
      15,
    ),
    ...ticks,
    ...windows.map((window) => text(x(window), size.height - size.bottom + 18, `${window} s`, 'middle')),
    text(size.width / 2, size.height - 16, 'window in which all looks go together (log scale)', 'middle'),
    ...lines,
    '</svg>',
    '',
  ].join('\n')
}

function text(
  x: number,
  y: number,
  words: string,
  anchor: string,
  colour: string = '#444',
  height: number = 12,
): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="${colour}" font-size="${height}">${escaped}</text>`
}
