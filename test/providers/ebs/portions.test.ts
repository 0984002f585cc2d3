import { isDeepStrictEqual } from 'node:util'
import { DescribeVolumesCommand, DescribeVolumesModificationsCommand, EC2Client } from '@aws-sdk/client-ec2'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { ec2Calls } from '../../../providers/ebs/client.ts'
import { portionsOf, readInPortions } from '../../../providers/ebs/portions.ts'
import { ec2Emulator, startEc2 } from '../../../src/testing/ec2/index.ts'
import { virtualClock } from '../../../src/testing/index.ts'

const count = 500
const ids = Array.from({ length: count }, (_, index) => `vol-${(index + 1).toString(16).padStart(17, '0')}`)
const attachments = [
  { instanceId: 'i-0000000000000000a', device: '/dev/sdf' },
  { instanceId: 'i-0000000000000000b', device: '/dev/sdg' },
]
const volumes = Object.fromEntries(ids.map((id, index) => [id, { size: 10 + index, multiAttach: true, attachments }]))
const identity = { region: 'eu-west-1', credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'none' } }

function emulated(): EC2Client {
  // Its dates are the same for every look.
  const ec2 = ec2Emulator({ volumes, clock: virtualClock({ auto: true }) })
  for (const id of ids) ec2.modifyElsewhere(id, { size: 1000 })
  return new EC2Client({ ...identity, maxAttempts: 1, requestHandler: ec2.requestHandler })
}

const commands = [
  ['volumes by ids', () => new DescribeVolumesCommand({ VolumeIds: ids })],
  ['a page of volumes', () => new DescribeVolumesCommand({ MaxResults: 300 })],
  ['modifications', () => new DescribeVolumesModificationsCommand({ VolumeIds: ids })],
] as const

test.each(commands)('the SDK tells the same of %s, read in portions or at once', async (_name, make) => {
  const client = emulated()
  const whole = await client.send(make() as DescribeVolumesCommand)
  const command = make() as DescribeVolumesCommand
  readInPortions(command)
  const read = await client.send(command)
  expect(read.NextToken).toBe(whole.NextToken)
  expect(isDeepStrictEqual({ ...read, $metadata: {} }, { ...whole, $metadata: {} })).toBe(true)
  expect(read.$metadata.httpStatusCode).toBe(200)
})

test('over a connection too', async () => {
  const ec2 = await startEc2({ volumes })
  const client = new EC2Client({ ...identity, endpoint: ec2.url, maxAttempts: 1 })
  onTestFinished(async () => {
    client.destroy()
    await ec2.stop()
  })
  const calls = ec2Calls(async () => client as never)
  const found = await calls.volumesByIds(ids)
  expect(found.map(({ VolumeId }) => VolumeId)).toEqual(ids)
  expect(found[count - 1]).toMatchObject({ Size: 10 + count - 1, Attachments: [{ Device: '/dev/sdf' }, {}] })
  await expect(calls.volumesByIds(['vol-0ffffffffffffffff'])).rejects.toMatchObject({ name: 'InvalidVolume.NotFound' })
})

test('others have their turn between the portions', async () => {
  const client = emulated()
  // Time goes on by ten milliseconds with every look at it.
  let now = 0
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => {
    now += 10
    return now
  })
  onTestFinished(() => clock.mockRestore())
  let turns = 0
  let reading = true
  const beside = (): void => {
    turns += 1
    if (reading) setImmediate(beside)
  }
  setImmediate(beside)
  await ec2Calls(async () => client as never).volumesByIds(ids)
  reading = false
  const patient = turns
  expect(patient).toBeGreaterThan(20)
  turns = 0
  reading = true
  setImmediate(beside)
  await ec2Calls(async () => client as never, false).volumesByIds(ids)
  reading = false
  expect(turns).toBeLessThan(patient - 20)
})

describe('a document', () => {
  const entry = (index: number): string =>
    `    <item>\n  <id>${index}</id><set><item><a/></item><item>${'x'.repeat(900)}</item></set>\n</item>\n`
  const list = Array.from({ length: 50 }, (_, index) => entry(index)).join('')
  const document = `<?xml version="1.0"?><R><requestId>1</requestId><volumeSet>\n${list}</volumeSet><nextToken>t</nextToken></R>`

  test('is divided between the entries of its list, each part with all that stands around it', () => {
    const portions = portionsOf(document)
    expect(portions.length).toBeGreaterThan(4)
    const seen = portions.flatMap((portion) => {
      expect(portion).toMatch(/^<\?xml version="1.0"\?><R><requestId>1<\/requestId><volumeSet>\s*<item>/)
      expect(portion).toMatch(/<\/item>\s*<\/volumeSet><nextToken>t<\/nextToken><\/R>$/)
      expect(portion.split('<item>').length).toBe(portion.split('</item>').length)
      return [...portion.matchAll(/<id>(\d+)<\/id>/g)].map(([, id]) => Number(id))
    })
    expect(seen).toEqual(Array.from({ length: 50 }, (_, index) => index))
  })

  test.each([
    ['is short', document.slice(0, 3000)],
    ['has no list', `<R>${'x'.repeat(20_000)}</R>`],
    ['has a second list', document.replace('</R>', '<tagSet><item>1</item></tagSet></R>')],
    ['has an empty entry', document.replace('<a/>', '<item/>')],
    ['has entries with attributes', document.replace('<item>', '<item id="1">')],
    ['has a comment', document.replace('<a/>', '<!-- <item> -->')],
    ['has text that is taken as it is', document.replace('<a/>', '<![CDATA[</item><item>]]>')],
    ['is cut off', document.slice(0, 20_000)],
    ['ends more than it began', document.replace('<volumeSet>', '<volumeSet></item>')],
    ['ends an entry twice', document.replace('</set>', '</set></item>')],
  ])('that %s is left as it is', (_name, text) => {
    expect(portionsOf(text).length).toBe(1)
    expect(portionsOf(text)[0] === text).toBe(true)
  })
})
