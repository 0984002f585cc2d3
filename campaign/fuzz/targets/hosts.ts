import { PassThrough } from 'node:stream'
import type { BatchItem } from '../../../src/hosts/host.ts'
import { mountOf, parseMountinfo } from '../../../src/hosts/mountinfo.ts'
import {
  parseCapabilities,
  parseControlGroups,
  parseDescriptor,
  parseLocks,
  parseMaps,
  parsePageSize,
  parseSwaps,
} from '../../../src/hosts/proc.ts'
import { FrameReader } from '../../../src/hosts/remote/frames.ts'
import { remoteHost } from '../../../src/hosts/remote/host.ts'
import { parseUevent, parseUnitSerial } from '../../../src/hosts/sysfs.ts'
import { readLvmReport } from '../../../src/layers/lvm/report.ts'
import type { Random } from '../random.ts'
import { attemptLater, checkRefusal, promise, type Target, target } from '../target.ts'
import { mutatedText, nastyText, shownText, simplerText } from '../text.ts'

interface Part {
  readonly line: string
  readonly body: Uint8Array
}

const boundary = '0123456789abcdef0123456789abcdef'

function encodedParts(parts: readonly Part[], mark: string): Buffer {
  return Buffer.concat(parts.flatMap(({ line, body }) => [Buffer.from(`\n${mark} ${line}\n`), body]))
}

/** The bytes in pieces, as a network has them. */
function pieces(random: Random, bytes: Uint8Array): readonly Uint8Array[] {
  const cut: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = random.pick([1, 3, 40, 700, 100_000])
    cut.push(bytes.subarray(at, at + length))
    at += length
  }
  return cut
}

interface Stream {
  readonly before: Uint8Array
  readonly parts: readonly Part[]
  readonly after: Uint8Array
  readonly cut: number | undefined
  readonly random: Random
}

const frames: Target = target<Stream>({
  name: 'frames',
  promise:
    'an answer in any pieces, with any words before and behind it, is the same frames; one that was cut off is never taken for whole',
  cases: 15_000,
  make(random) {
    const body = (): Uint8Array =>
      random.oneIn(3)
        ? random.bytes(random.below(80))
        : Buffer.from(random.oneIn(4) ? `\n${boundary.slice(0, random.below(32))}` : nastyText(random, 3))
    return {
      random,
      before: body(),
      parts: [
        ...random.list(0, 8, () => ({
          line: random.list(1, 4, () => random.pick(['i', 'v', 's', '0', '1', 'end?', 'k', '-', ''])).join(' '),
          body: body(),
        })),
        { line: 'end', body: new Uint8Array() },
      ],
      after: body(),
      cut: random.oneIn(3) ? random.u32() : undefined,
    }
  },
  check({ random, before, parts, after, cut }) {
    const all = Buffer.concat([before, encodedParts(parts, boundary), after])
    const end = before.length + encodedParts(parts, boundary).length
    const sent = cut === undefined ? all : all.subarray(0, cut % end)
    const reader = new FrameReader(boundary)
    for (const piece of pieces(random, sent)) reader.push(piece)
    promise(reader.ended === (cut === undefined), () =>
      reader.ended ? 'a part was taken for the whole' : 'the end was not seen',
    )
    const found = reader.ended ? reader.frames : reader.finish()
    promise(
      found.length <= parts.length && (cut !== undefined || found.length === parts.length),
      () => `${found.length} frames of ${parts.length}`,
    )
    for (const [index, { fields, body }] of found.entries()) {
      const part = parts[index]
      promise(
        part !== undefined && fields.join(' ') === part.line,
        () => `${fields.join(' ')} instead of ${part?.line}`,
      )
      const isLast = cut !== undefined && index === found.length - 1
      const same =
        Buffer.from(part.body).equals(body) ||
        (isLast && Buffer.from(part.body).subarray(0, body.length).equals(body)) ||
        (isLast && body.length > part.body.length)
      promise(same, () => `the body of ${part.line}`)
    }
    return cut === undefined ? 'whole' : 'cut off'
  },
  show: ({ before, parts, after, cut }) =>
    `${shownText(Buffer.concat([before, encodedParts(parts, boundary), after]).toString('latin1'))} cut at ${cut}`,
})

/** What is asked of a host, with an answer that is sound. */
const questions: readonly {
  readonly item: BatchItem
  readonly frames: readonly (readonly [string, string])[]
  readonly result: unknown
}[] = [
  {
    item: { read: 'file', path: '/sys/a' },
    frames: [
      ['v', 'eight\n'],
      ['s 0', ''],
    ],
    result: { ok: true, value: 'eight\n' },
  },
  {
    item: { read: 'range', path: '/dev/a', offset: 0n, length: 512 },
    frames: [
      ['v', 'x'.repeat(512)],
      ['s 0', ''],
    ],
    result: { ok: true, value: Buffer.alloc(512, 120) },
  },
  {
    item: { read: 'statfs', path: '/data' },
    frames: [
      ['v', '58465342 4096 1000 500 400\n'],
      ['s 0', ''],
    ],
    result: { ok: true, value: { type: 0x58465342n, blockSize: 4096n, blocks: 1000n, free: 500n, available: 400n } },
  },
  {
    item: { expect: { read: 'file', path: '/sys/b' }, equals: '8' },
    frames: [['x 1', '38']],
    result: { ok: true, found: '8' },
  },
  {
    item: { exec: ['resize2fs', '/dev/a'], accept: [0, 1] },
    frames: [
      ['b', ''],
      ['r exited 0 -', ''],
      ['o', 'done\n'],
      ['e', 'words\n'],
    ],
    result: {
      argv: ['resize2fs', '/dev/a'],
      stdout: 'done\n',
      stderr: 'words\n',
      ended: 'exited',
      ok: true,
      exitCode: 0,
    },
  },
]

interface Damage {
  readonly asked: readonly number[]
  readonly kind: 'none' | 'cut' | 'dropped' | 'twice' | 'garbled'
  readonly at: number
  readonly words: string
}

const answers: Target = target<Damage>({
  name: 'host-answers',
  promise:
    'an answer of a host that was cut off, or lacks or repeats a part, is an error with its outcome or says of the part that it is not known; never another value',
  cases: 2000,
  make: (random) => ({
    asked: random.list(1, 5, () => random.below(questions.length)),
    kind: random.pick(['none', 'cut', 'dropped', 'twice', 'garbled']),
    at: random.u32(),
    words: nastyText(random, 2).replaceAll('\n', ' ').slice(0, 200),
  }),
  async check({ asked, kind, at, words }) {
    const wanted = asked.map((index) => questions[index]).filter((question) => question !== undefined)
    const parts: Part[] = wanted
      .flatMap((question) => [['i', ''] as const, ...question.frames])
      .map(([line, body]) => ({ line, body: Buffer.from(body) }))
    const victim = at % parts.length
    const [part] = parts.slice(victim, victim + 1)
    if (part === undefined) return 'nothing'
    if (kind === 'dropped') parts.splice(victim, 1)
    if (kind === 'twice') parts.splice(victim, 0, part)
    if (kind === 'garbled') parts[victim] = { ...part, line: words === 'end' ? 'x' : words }
    parts.push({ line: 'end', body: new Uint8Array() })
    const host = remoteHost({
      ...{ id: 'h', elevation: 'none', sudoCommands: false, runtimeDirectories: ['/run'] },
      transport: {
        close: async () => undefined,
        async open() {
          const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
          let request = ''
          let ended: (ending: { exitCode: number }) => void = () => undefined
          let lost: (error: Error) => void = () => undefined
          const ending = new Promise<{ exitCode: number }>((resolve, reject) => {
            ended = resolve
            lost = reject
          })
          ending.catch(() => undefined)
          stdin.on('data', (chunk: Buffer) => {
            request += chunk.toString('latin1')
            if (!request.endsWith('#run\n')) return
            // The first parameter is the boundary of this one call.
            const mark = /\n#go\n\.([0-9a-f]{32})\n/.exec(request)?.[1] ?? ''
            request = ''
            const whole = encodedParts(parts, mark)
            stdout.end(kind === 'cut' ? whole.subarray(0, at % (whole.length - 1)) : whole)
            setImmediate(() => (kind === 'cut' ? lost(new Error('lost')) : ended({ exitCode: 0 })))
          })
          return { stdin, stdout, stderr, ended: ending, close: () => ended({ exitCode: 0 }) }
        },
      },
    })
    const found = await attemptLater(() => host.batch(wanted.map(({ item }) => item)))
    if ('error' in found) {
      checkRefusal(found.error)
      promise(
        kind !== 'none' && found.error.code === 'host-unreachable',
        () => `${kind}: ${found.error.code}: ${found.error.message}`,
      )
      const begun = wanted.some(({ item }) => 'exec' in item)
      promise(found.error.outcome === 'unchanged' || begun, () => 'nothing was begun')
      promise(!begun || found.error.outcome === 'unknown', () => 'a command may have begun')
      return `${kind} refused`
    }
    promise(kind !== 'cut', () => 'a part was taken for the whole')
    const results = found.value as readonly unknown[]
    promise(results.length === wanted.length, () => `${results.length} results`)
    let lost = 0
    for (const [index, result] of results.entries()) {
      const { result: sound, item } = wanted[index] ?? {}
      const own = plain(result)
      if (own === plain(sound)) continue
      lost += 1
      promise(kind !== 'none', () => `${own} instead of ${plain(sound)}`)
      const { ok, ended } = result as { readonly ok?: unknown; readonly ended?: unknown }
      promise(ok === false, () => `${own} instead of ${plain(sound)}`)
      if (item !== undefined && 'exec' in item)
        promise(ended !== 'exited' || kind === 'garbled', () => `${own} instead of ${plain(sound)}`)
    }
    return lost === 0 ? `${kind} read` : `${kind} not known`
  },
  show: (damage) => JSON.stringify(damage),
})

function plain(value: unknown): string {
  return JSON.stringify(value, (name, each: unknown) => {
    if (name === 'milliseconds') return undefined
    if (typeof each === 'bigint') return `${each}n`
    return each
  })
}

interface Text {
  readonly kind: keyof typeof sound
  readonly text: string
}

const mountinfo = [
  '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro',
  '30 22 8:17 / /data rw shared:2 master:1 - xfs /dev/sdb1 rw,attr2,noquota',
  '31 30 0:41 / /data/a\\040b ro - tmpfs tmpfs rw,size=1k',
  '40 22 8:33 /sub /mnt\\134x rw - ext4 /dev/sdc1 rw',
].join('\n')

const sound = {
  mountinfo,
  locks:
    '1: FLOCK  ADVISORY  WRITE 1234 08:11:131 0 EOF\n2: POSIX  ADVISORY  READ 5 00:05:1 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 77 08:11:131 0 EOF\n',
  maps: '7f00-7f01 rw-s 00000000 08:11 131 /data/disk.img\n7f02-7f03 r--p 00000000 00:00 0 [heap]\n',
  descriptor: 'pos:\t0\nflags:\t0100002\nmnt_id:\t30\nino:\t131\n',
  status: 'Name:\tsh\nState:\tS (sleeping)\nUid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n',
  swaps: 'Filename\tType\t\tSize\tUsed\tPriority\n/dev/sda2 partition\t1\t0\t-2\n/swap\\040file file 1 0 -3\n',
  groups: '0::/system.slice/x.service\n4:memory,cpu:/a\n1:name=systemd:/b\n',
  uevent: 'MAJOR=8\nMINOR=17\nDEVNAME=sdb1\nDEVTYPE=partition\nPARTN=1\n',
  auxv: '\u0006\0\0\0\0\0\0\0\0\u0010\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0',
  serial: '\0\u0080\0\u0008SERIAL01',
} as const

const isDevice = (text: string): boolean => /^\d+:\d+$/.test(text)

const procfs: Target = target<Text>({
  name: 'procfs',
  promise:
    'a text of /proc or /sys is read as its lines say or its line is left out: no number becomes another, and nothing is taken from the ruins of a line',
  cases: 200_000,
  make(random) {
    const kind = random.pick(Object.keys(sound) as Text['kind'][])
    return {
      kind,
      text: random.oneIn(15) ? nastyText(random, 8) : random.oneIn(10) ? sound[kind] : mutatedText(random, sound[kind]),
    }
  },
  check({ kind, text }) {
    const lines = text.split('\n')
    switch (kind) {
      case 'mountinfo': {
        const mounts = parseMountinfo(text)
        for (const mount of mounts) {
          promise(
            Number.isSafeInteger(mount.id) && Number.isSafeInteger(mount.parent),
            () => `the mount ${mount.id} on ${mount.parent}`,
          )
          promise(isDevice(mount.dev), () => `the device ${mount.dev}`)
          promise(mount.mountPoint.startsWith('/') && mount.type !== '', () => `the mount point ${mount.mountPoint}`)
          promise(
            lines.some((line) => new RegExp(`^0*${mount.id} 0*${mount.parent} ${mount.dev} `).test(line)),
            () => 'no line says so',
          )
        }
        const at = mountOf(mounts, '/data/x')
        promise(at === undefined || '/data/x'.startsWith(at.mountPoint), () => `/data/x on ${at?.mountPoint}`)
        return mounts.length === 0 ? 'nothing' : 'read'
      }
      case 'locks':
        for (const { pid, dev, ino } of parseLocks(text)) {
          promise(Number.isSafeInteger(pid) && isDevice(dev) && ino >= 0n, () => `${pid} ${dev} ${ino}`)
          promise(
            lines.some((line) => /^\d+: FLOCK/.test(line) && new RegExp(`:0*${ino}\\s`).test(`${line} `)),
            () => 'no line says so',
          )
        }
        return 'read'
      case 'maps':
        for (const { dev, ino } of parseMaps(text))
          promise(isDevice(dev) && text.includes(`${ino}`), () => `${dev} ${ino}`)
        return 'read'
      case 'descriptor': {
        const { writable, mount } = parseDescriptor(text)
        promise(Number.isSafeInteger(mount) && typeof writable === 'boolean', () => `the mount ${mount}`)
        return writable ? 'writable' : 'read'
      }
      case 'status': {
        const capabilities = parseCapabilities(text)
        const line = text.split(/[\n\r\u2028\u2029]/).find((each) => /^CapEff:[ \t]*[0-9a-fA-F]+$/.test(each))
        promise(
          capabilities === (line === undefined ? 0n : BigInt(`0x${line.slice(7).trim()}`)),
          () => `${capabilities}`,
        )
        return 'read'
      }
      case 'swaps':
        for (const path of parseSwaps(text)) promise(path.startsWith('/'), () => path)
        return 'read'
      case 'groups':
        for (const { path } of parseControlGroups(text))
          promise(path.startsWith('/') && text.includes(path), () => path)
        return 'read'
      case 'uevent':
        for (const [name, value] of parseUevent(text))
          promise(lines.includes(`${name}=${value}`), () => `${name}=${value}`)
        return 'read'
      case 'auxv': {
        const page = parsePageSize(Buffer.from(text, 'latin1'), 8, true)
        promise(page === undefined || (Number.isSafeInteger(page) && page > 0), () => `pages of ${page}`)
        return page === undefined ? 'nothing' : 'read'
      }
      case 'serial': {
        const serial = parseUnitSerial(Buffer.from(text, 'latin1'))
        promise(serial === undefined || (serial !== '' && serial === serial.trim()), () => `${serial}`)
        return serial === undefined ? 'nothing' : 'read'
      }
      default:
        return kind satisfies never
    }
  },
  simpler: function* ({ kind, text }) {
    for (const shorter of simplerText(text)) yield { kind, text: shorter }
  },
  show: ({ kind, text }) => `${kind} ${shownText(text)}`,
})

const lvmTexts: Target = target<string>({
  name: 'lvm-texts',
  promise: 'whatever LVM writes is a report or is refused as none',
  cases: 60_000,
  make: (random) =>
    random.oneIn(3)
      ? nastyText(random, 8)
      : mutatedText(random, '{"report":[{"vg":[],"pv":[],"lv":[],"seg":[]}],"log":[{"log_message":"x"},]}'),
  check(text) {
    try {
      readLvmReport(text)
      return 'read'
    } catch (error) {
      promise(error instanceof Error && error.name === 'LvmReportError', () => String(error))
      return 'refused'
    }
  },
  simpler: simplerText,
  show: shownText,
})

export const hostTargets: readonly Target[] = [frames, answers, procfs, lvmTexts]
