import { describe, expect, test } from 'vitest'
import {
  type AcceptableCode,
  acceptableCodes,
  applyAcceptance,
  type Finding,
  type FindingCode,
  findingCodes,
} from '../src/findings.ts'

const finding = (code: FindingCode, severity: Finding['severity'] = 'blocker'): Finding => ({
  code,
  severity,
  layer: 'volume',
  message: code,
})

describe('applyAcceptance', () => {
  test.each(acceptableCodes)('lowers a blocker %s to a warning that says that it was accepted', (code) => {
    const original = finding(code)
    expect(applyAcceptance([original], [code])).toEqual([{ ...original, severity: 'warning', accepted: true }])
    expect(original).toEqual(finding(code))
  })

  test('lowers only what was accepted, every time that it was found, and keeps the order', () => {
    const findings = [finding('dated-limit'), finding('read-only'), finding('owned-elsewhere'), finding('dated-limit')]
    const severities = applyAcceptance(findings, ['dated-limit']).map(({ severity }) => severity)
    expect(severities).toEqual(['warning', 'blocker', 'blocker', 'warning'])
  })

  test('leaves warnings and notes as they are', () => {
    const findings = [finding('dated-limit', 'warning'), finding('ext4-meta-bg-conversion', 'note')]
    expect(applyAcceptance(findings, acceptableCodes)).toEqual(findings)
  })

  test('accepts nothing else, whatever the request says', () => {
    const codes = Object.keys(findingCodes) as FindingCode[]
    const findings = codes.map((code) => finding(code))
    const lowered = applyAcceptance(findings, codes as AcceptableCode[])
      .filter(({ severity }) => severity !== 'blocker')
      .map(({ code }) => code)
    expect(lowered.sort()).toEqual([...acceptableCodes].sort())
  })
})

test('shrinking, identity and corruption can never be accepted', () => {
  const never: readonly FindingCode[] = [
    'would-shrink',
    'identity-mismatch',
    'filesystem-damaged',
    'filesystem-larger-than-device',
    'in-use',
    'exclusivity-unknown',
  ]
  for (const code of never) expect(acceptableCodes).not.toContain(code)
  for (const code of acceptableCodes) expect(findingCodes).toHaveProperty(code)
})
