// The declarations of @kubernetes/client-node name a package of types that it does not bring along (@types/ws). Nothing here uses what they say.
declare module 'ws' {
  class WebSocket {}
  namespace WebSocket {
    export type { WebSocket }
    export type ClientOptions = object
  }
  export = WebSocket
}
