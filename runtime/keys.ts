/**
 * Keys of a batch's rows as bytes: what state tables and exchanges look rows up by. One encoder is compiled per
 * (types, columns, encoding); its buffers are reused: a KeyBatch is valid until the encoder's next call.
 */
export interface KeyBatch {
  readonly length: number;
  /** Encoded key of row i: data[start[i] .. end[i]). */
  readonly data: Uint8Array;
  readonly start: Int32Array;
  readonly end: Int32Array;
  /** hashBytes (types/encoding/hash.ts, version in the job's metadata) of the key bytes. */
  readonly hash: Int32Array;
  /** 1 where some key column is NULL (join keys then match nothing); null = nowhere. */
  readonly anyNull: Uint8Array | null;
}
