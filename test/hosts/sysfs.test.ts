import { expect, test } from 'vitest'
import { normalizeWwn, parseUevent, parseUnitSerial } from '../../src/hosts/sysfs.ts'

test('parseUevent keeps what is behind the first equals sign', () => {
  const values = parseUevent('MAJOR=8\nDEVNAME=sda\nPARTNAME=a=b\nbroken\n')
  expect([...values]).toEqual([
    ['MAJOR', '8'],
    ['DEVNAME', 'sda'],
    ['PARTNAME', 'a=b'],
  ])
})

test('parseUnitSerial reads the page that SCSI disks show', () => {
  const page = (text: string): Uint8Array => Uint8Array.from([0, 0x80, 0, text.length, ...Buffer.from(text)])
  expect(parseUnitSerial(page('  WD-123 '))).toBe('WD-123')
  expect(parseUnitSerial(page('   '))).toBeUndefined()
  expect(parseUnitSerial(Uint8Array.from([0, 0x83, 0, 1, 65]))).toBeUndefined()
  expect(parseUnitSerial(new Uint8Array(2))).toBeUndefined()
})

test('normalizeWwn makes the spellings of one name the same', () => {
  const spellings = ['naa.5000C500A1B2C3D4', '0x5000c500a1b2c3d4', 'wwn-0x5000c500a1b2c3d4', ' 5000c500a1b2c3d4\n']
  expect(new Set(spellings.map(normalizeWwn)).size).toBe(1)
  expect(normalizeWwn('eui.0025385b71b00001')).toBe('0025385b71b00001')
})
