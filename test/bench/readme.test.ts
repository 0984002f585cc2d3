import { describe, expect, test } from 'vitest'
import { withBenchPart } from '../../bench/readme.ts'

describe('withBenchPart', () => {
  test('replaces what stands between the markers, as often as one likes', () => {
    const text = '# A\n\n<!-- bench -->\n\nold\n\n<!-- /bench -->\n\n## B\n'
    const once = withBenchPart(text, ['new', 'table'])
    expect(once).toBe('# A\n\n<!-- bench -->\n\nnew\ntable\n\n<!-- /bench -->\n\n## B\n')
    expect(withBenchPart(once, ['new', 'table'])).toBe(once)
  })

  test('adds a closing marker that is missing, and keeps what follows', () => {
    expect(withBenchPart('<!-- bench -->\n\n## B\n', ['new'])).toBe(
      '<!-- bench -->\n\nnew\n\n<!-- /bench -->\n\n## B\n',
    )
  })

  test('refuses a text without a place for it', () => {
    expect(() => withBenchPart('# A\n', ['new'])).toThrow('<!-- bench -->')
  })
})
