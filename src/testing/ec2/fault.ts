/** An answer that is an error, with a code of the Amazon EC2 API Reference, "Error codes". */
export class Ec2Fault extends Error {
  override readonly name = 'Ec2Fault'
  readonly code: string
  readonly status: number

  constructor(code: string, message: string, status: number = 400) {
    super(message)
    this.code = code
    this.status = status
  }
}
