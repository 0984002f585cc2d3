import { describeProcessCounts } from '../process-counts.ts'

describeProcessCounts('xfs')
