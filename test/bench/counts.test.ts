import { describe, expect, test } from 'vitest'
import { limits } from '../../bench/results.ts'
import { entries, entrySizes } from '../../bench/sizes.ts'

const sizes = await entrySizes()

describe('the entries of the package', () => {
  test('are all measured', () => {
    expect(sizes.map(({ entry }) => entry)).toEqual(expect.arrayContaining(['.', './providers/file', './testing']))
    expect(sizes).toHaveLength(entries().length)
  })

  test.each(sizes)('$entry holds no module of third parties', ({ entry, thirdParty, whole }) => {
    // Providers may read YAML and XML with the two small libraries that the package depends on, and what these bring.
    const allowed = entry.startsWith('./providers/')
      ? /node_modules\/(?:yaml|fast-xml-parser|@nodable|fast-xml-builder|is-unsafe|path-expression-matcher|strnum|xml-naming|anynum)\//
      : /^$/
    expect(thirdParty.filter((path) => !allowed.test(path))).toEqual([])
    expect(whole.modules).toBeGreaterThan(1)
  })

  test('the root is as small as it promises, minified and gzipped', () => {
    const root = sizes.find(({ entry }) => entry === '.')
    expect(root?.loaded.gzippedBytes).toBeGreaterThan(1000)
    expect(root?.loaded.gzippedBytes).toBeLessThanOrEqual(limits.coreBytes)
  })
})
