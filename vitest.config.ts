import { defineConfig, type ViteUserConfig } from 'vitest/config'

/** What runs everywhere: no root, no system package, no network. */
const config: ViteUserConfig = {
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/real/**', 'test/package/**'],
    // Some wait for real seconds, and machines are slow at times: nothing is proven by a timeout.
    testTimeout: 60_000,
    // The usual one less would be half of a small machine.
    maxWorkers: '100%',
    typecheck: { enabled: true, include: ['test/types/**/*.test-d.ts'] },
  },
}

export default defineConfig(config) as ViteUserConfig
