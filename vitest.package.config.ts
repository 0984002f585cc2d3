import { defineConfig, type ViteUserConfig } from 'vitest/config'

/** What a user gets: the packed tarball, installed into a project of its own. */
const config: ViteUserConfig = {
  test: {
    include: ['test/package/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 300_000,
  },
}

export default defineConfig(config) as ViteUserConfig
