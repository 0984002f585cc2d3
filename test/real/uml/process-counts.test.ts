import { describeProcessCounts } from '../process-counts.ts'

describeProcessCounts('ext4')
