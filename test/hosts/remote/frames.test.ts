import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FrameReader } from '../../../src/hosts/remote/frames.ts'

const boundary = '0123456789abcdef0123456789abcdef'

describe('frames', () => {
  test('come out as they went in, however they are cut into pieces', () => {
    const body = fc.uint8Array({ maxLength: 200 })
    const frame = fc.tuple(fc.constantFrom('v', 's 1', 'k text', 'r exited 0 -'), body)
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 90 })), (frames, cuts) => {
        const parts = frames.flatMap(([line, bytes]) => [Buffer.from(`\n${boundary} ${line}\n`), Buffer.from(bytes)])
        const all = Buffer.concat([Buffer.from('Welcome!\n'), ...parts, Buffer.from(`\n${boundary} end\n`)])
        const lines: string[] = []
        const reader = new FrameReader(boundary, (fields) => lines.push(fields.join(' ')))
        let at = 0
        for (const cut of [...cuts, all.length]) {
          reader.push(all.subarray(at, at + cut))
          at += cut
        }
        expect(reader.ended).toBe(true)
        expect(lines).toEqual([...frames.map(([line]) => line), 'end'])
        expect(reader.frames.slice(0, -1).map((one) => Buffer.from(one.body))).toEqual(
          frames.map(([, bytes]) => Buffer.from(bytes)),
        )
      }),
    )
  })

  test('what looks like one and has another boundary is a body', () => {
    const reader = new FrameReader(boundary)
    const inside = `\n${boundary.replace('0', '1')} end\n\n${boundary}x`
    reader.push(Buffer.from(`\n${boundary} v\n${inside}\n${boundary} end\n`))
    expect(reader.ended).toBe(true)
    expect(Buffer.from(reader.frames[0]?.body ?? []).toString()).toBe(inside)
  })

  test('an answer without its end has not ended', () => {
    const reader = new FrameReader(boundary)
    reader.push(Buffer.from(`\n${boundary} v\nabc\n${boundary} en`))
    expect(reader.ended).toBe(false)
  })
})
