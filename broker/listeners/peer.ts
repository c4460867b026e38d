/** Where a client is: what the operating system saw, or what a proxy that is trusted with it has said. */
export type Peer =
  | { readonly seen: 'directly'; readonly address: string; readonly port: number }
  | { readonly seen: 'by proxy'; readonly address: string; readonly port: number; readonly proxy: string }
