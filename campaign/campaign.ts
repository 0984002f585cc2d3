/** One campaign: takes its options, says what it does and finds on the standard output, and answers whether everything held. */
export type Campaign = (argv: readonly string[]) => Promise<boolean>
