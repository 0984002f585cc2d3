import { expect, test } from 'vitest'
import { hasFix, metaBgFix, partialClusterFix } from '../../../src/filesystems/ext/kernel.ts'

test.each([
  ['6.9.0', true],
  ['6.18.44-fc-v595', true],
  ['7.0', true],
  ['6.8.3', true],
  ['6.8.2', false],
  ['6.8.0-31-generic', false],
  ['6.7.12+bpo-amd64', true],
  ['6.6.24', true],
  ['6.6.23', false],
  ['6.5.13', false],
  ['6.1.84-99.169.amzn2023.x86_64', true],
  ['6.1.83', false],
  ['6.1.0-20-amd64', true],
  ['6.1.0-20-cloud-amd64', true],
  ['6.1.0-20-rt-arm64', true],
  ['6.1.0-18-amd64', false],
  ['6.1.0-20-generic', false],
  ['5.15.154', true],
  ['5.15.0-105-generic', false],
  ['5.14.0-503.el9.x86_64', false],
  ['5.10.0-29-amd64', true],
  ['5.10.0-28-amd64', false],
  ['4.18.0-553.el8.x86_64', false],
  ['3.6.11', true],
  ['gibberish', false],
])('%s has the fix of meta_bg growth: %s', (release, expected) => {
  expect(hasFix(release, metaBgFix)).toBe(expected)
})

test.each([
  ['6.1.0-10-amd64', true],
  ['5.19.4', true],
  ['5.15.62', false],
  ['4.14.0', true],
])('%s has the fix of growth to a partial cluster: %s', (release, expected) => {
  expect(hasFix(release, partialClusterFix)).toBe(expected)
})
