/**
 * A bucket under a prefix as a FileStore. A file up to PART_BYTES is one PUT; a larger one a multipart upload, whose parts go out a few at a
 * time while the next is being filled. Either appears whole or not at all. Reading fetches ranges of READ_BYTES, the next one ahead.
 */
import { createHash } from 'node:crypto';
import { SqlError } from '../../types/error.js';
import type { FileReader, FileStore, FileWriter, StoredFile } from '../filestore.js';
import type { S3Client } from './client.js';
import { contentsOf, elementOf, escapeXml } from './xml.js';

/** Named limits. S3's own: parts of at least 5 MB, 10,000 of them, 1000 keys in one deletion. */
const PART_BYTES = 8 * 1024 * 1024;
/** After this many parts the next ones are larger, so that a file may have 600 GB. */
const SMALL_PARTS = 1000;
const LARGE_PART_BYTES = 64 * 1024 * 1024;
const PARTS_IN_FLIGHT_MAX = 3;
const READ_BYTES = 8 * 1024 * 1024;
const DELETE_KEYS_MAX = 1000;

export function s3Store(root: string, client: S3Client): FileStore { return new S3Store(root, client); }

class S3Store implements FileStore {
  readonly root: string;
  readonly remote = true;
  readonly #client: S3Client;

  constructor(root: string, client: S3Client) {
    this.root = root;
    this.#client = client;
  }

  #key(name: string): string {
    const { prefix } = this.#client.access;
    return prefix === '' ? name : name === '' ? prefix : `${prefix}/${name}`;
  }
  /** Prefix of the keys below a folder. */
  #below(folder: string): string {
    const key = this.#key(folder);
    return key === '' ? '' : `${key}/`;
  }

  async create(name: string): Promise<FileWriter> { return new S3Writer(this.#client, this.#key(name)); }

  async open(name: string): Promise<FileReader | null> {
    const key = this.#key(name);
    const first = await fetchRange(this.#client, key, 0, null);
    return first === null ? null : new S3Reader(this.#client, key, first);
  }

  async read(name: string): Promise<Uint8Array | null> {
    const key = this.#key(name);
    const { status, body } = await this.#client.request({ method: 'GET', key, accept: [404], doing: 'read' });
    if (status !== 404) return body;
    refuseAbsentBucket(this.#client, key, body);
    return null;
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    await this.#client.request({ method: 'PUT', key: this.#key(name), body: bytes, doing: 'write' });
  }

  async size(name: string): Promise<number | null> {
    const { status, headers } = await this.#client.request({ method: 'HEAD', key: this.#key(name), accept: [404], doing: 'look up' });
    return status === 404 ? null : Number(headers.get('content-length'));
  }

  async list(folder: string): Promise<StoredFile[]> {
    const prefix = this.#below(folder);
    const out: StoredFile[] = [];
    for (let token: string | null = null; ;) {
      const { body } = await this.#client.request({
        method: 'GET', key: null, doing: 'list', query: { 'list-type': '2', prefix, 'encoding-type': 'url', ...(token === null ? {} : { 'continuation-token': token }) },
      });
      const xml = new TextDecoder().decode(body);
      for (const entry of contentsOf(xml, 'Contents')) {
        const key = decodeURIComponent((elementOf(entry, 'Key') ?? '').replaceAll('+', '%20'));
        if (!key.endsWith('/')) out.push({ name: key.slice(prefix.length), bytes: Number(elementOf(entry, 'Size')) });
      }
      token = elementOf(xml, 'IsTruncated') === 'true' ? elementOf(xml, 'NextContinuationToken') : null;
      if (token === null) return out;
    }
  }

  async remove(names: readonly string[]): Promise<void> {
    let failure: unknown = null;
    for (let at = 0; at < names.length; at += DELETE_KEYS_MAX) {
      await this.#removeKeys(names.slice(at, at + DELETE_KEYS_MAX).map(name => this.#key(name))).catch((e: unknown) => { failure ??= e; });
    }
    if (failure !== null) throw failure;
  }

  async #removeKeys(keys: readonly string[]): Promise<void> {
    const [only] = keys;
    if (only === undefined) return;
    if (keys.length === 1) {
      await this.#client.request({ method: 'DELETE', key: only, accept: [404], doing: 'delete' });
      return;
    }
    const body = new TextEncoder().encode(`<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>${keys.map(key => `<Object><Key>${escapeXml(key)}</Key></Object>`).join('')}</Delete>`);
    const response = await this.#client.request({
      method: 'POST', key: null, query: { delete: '' }, headers: { 'content-type': 'application/xml', 'content-md5': createHash('md5').update(body).digest('base64') }, body, doing: 'delete files in',
    });
    const refused = contentsOf(new TextDecoder().decode(response.body), 'Error').find(e => elementOf(e, 'Code') !== 'NoSuchKey');
    if (refused !== undefined) {
      const code = elementOf(refused, 'Code') ?? 'unknown';
      throw new SqlError(code === 'AccessDenied' ? '28000' : '58030', `could not delete "${this.#client.url(elementOf(refused, 'Key') ?? only)}": ${code}`, { detail: elementOf(refused, 'Message') ?? undefined });
    }
  }

  async removeFolder(folder: string): Promise<void> {
    await this.remove((await this.list(folder)).map(f => (folder === '' ? f.name : `${folder}/${f.name}`)));
  }

  async secure(): Promise<void> { /* an object is durable when it is there */ }

  async removeUnfinished(folder: string): Promise<void> {
    const prefix = this.#below(folder);
    for (let marker: { key: string; upload: string } | null = null; ;) {
      const { status, body } = await this.#client.request({
        method: 'GET', key: null, doing: 'list uploads in', accept: [501],
        query: { uploads: '', prefix, ...(marker === null ? {} : { 'key-marker': marker.key, 'upload-id-marker': marker.upload }) },
      });
      if (status === 501) return; // a server that does not list them
      const xml = new TextDecoder().decode(body);
      for (const upload of contentsOf(xml, 'Upload')) {
        const key = elementOf(upload, 'Key') ?? '';
        if (key.startsWith(prefix)) await this.#client.request({ method: 'DELETE', key, query: { uploadId: elementOf(upload, 'UploadId') ?? '' }, accept: [404], doing: 'abort the upload of' });
      }
      if (elementOf(xml, 'IsTruncated') !== 'true') return;
      marker = { key: elementOf(xml, 'NextKeyMarker') ?? '', upload: elementOf(xml, 'NextUploadIdMarker') ?? '' };
    }
  }
}

/** 404 may be the bucket's: that is no absent file. */
function refuseAbsentBucket(client: S3Client, key: string, body: Uint8Array): void {
  if (elementOf(new TextDecoder().decode(body), 'Code') !== 'NoSuchBucket') return;
  throw new SqlError('22023', `could not read "${client.url(key)}": NoSuchBucket`, { hint: `Create bucket "${client.access.bucket}", or name another one.` });
}

interface Range { readonly start: number; readonly bytes: Uint8Array; readonly total: number; readonly etag: string | null }

/** READ_BYTES from `start`; null when there is no such file. `etag`: of the file whose first range was read. */
async function fetchRange(client: S3Client, key: string, start: number, etag: string | null): Promise<Range | null> {
  const { status, headers, body } = await client.request({
    method: 'GET', key, doing: 'read', accept: [404, 416], headers: { range: `bytes=${start}-${start + READ_BYTES - 1}`, ...(etag === null ? {} : { 'if-match': etag }) },
  });
  if (status === 404) {
    refuseAbsentBucket(client, key, body);
    return null;
  }
  // A range of an empty file cannot be given.
  if (status === 416) return { start, bytes: new Uint8Array(0), total: 0, etag };
  const total = status === 206 ? Number(/\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1] ?? NaN) : body.length;
  if (!Number.isFinite(total)) throw new SqlError('58030', `could not read "${client.url(key)}": the answer has no length`);
  return { start: status === 206 ? start : 0, bytes: body, total, etag: headers.get('etag') };
}

class S3Reader implements FileReader {
  readonly size: number;
  readonly #client: S3Client;
  readonly #key: string;
  readonly #etag: string | null;
  #range: Range;
  #ahead: { readonly start: number; readonly range: Promise<Range | null> } | null = null;

  constructor(client: S3Client, key: string, first: Range) {
    this.#client = client;
    this.#key = key;
    this.#range = first;
    this.#etag = first.etag;
    this.size = first.total;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const end = Math.min(offset + length, this.size);
    if (end <= offset) return new Uint8Array(0);
    const inRange = (at: number): boolean => at >= this.#range.start && at < this.#range.start + this.#range.bytes.length;
    if (!inRange(offset)) await this.#fetch(offset);
    if (inRange(end - 1)) return this.#range.bytes.subarray(offset - this.#range.start, end - this.#range.start);
    const out = new Uint8Array(end - offset);
    for (let at = offset; at < end;) {
      if (!inRange(at)) await this.#fetch(at);
      const part = this.#range.bytes.subarray(at - this.#range.start, Math.min(end - this.#range.start, this.#range.bytes.length));
      out.set(part, at - offset);
      at += part.length;
    }
    return out;
  }

  async #fetch(start: number): Promise<void> {
    const ahead = this.#ahead;
    this.#ahead = null;
    const range = await (ahead?.start === start ? ahead.range : fetchRange(this.#client, this.#key, start, this.#etag));
    if (range === null || range.bytes.length === 0) throw new SqlError('58030', `could not read "${this.#client.url(this.#key)}": it was deleted meanwhile`);
    this.#range = range;
    const next = range.start + range.bytes.length;
    if (next >= this.size) return;
    this.#ahead = { start: next, range: fetchRange(this.#client, this.#key, next, this.#etag) };
    this.#ahead.range.catch(() => undefined); // told when it is read
  }

  async close(): Promise<void> { await this.#ahead?.range.catch(() => undefined); }
}

class S3Writer implements FileWriter {
  readonly #client: S3Client;
  readonly #key: string;
  #pieces: Uint8Array[] = [];
  #buffered = 0;
  #bytes = 0;
  #uploadId: string | null = null;
  readonly #tags: string[] = [];
  #parts = 0;
  readonly #inFlight = new Set<Promise<void>>();
  #failure: unknown = null;

  constructor(client: S3Client, key: string) {
    this.#client = client;
    this.#key = key;
  }

  async append(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    for (let at = 0; at < bytes.length;) {
      const part = this.#parts < SMALL_PARTS ? PART_BYTES : LARGE_PART_BYTES;
      const n = Math.min(bytes.length - at, part - this.#buffered);
      this.#pieces.push(bytes.slice(at, at + n));
      this.#buffered += n;
      at += n;
      if (this.#buffered === part) await this.#sendPart();
    }
    this.#bytes += bytes.length;
  }

  #take(): Uint8Array {
    const body = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces, this.#buffered);
    this.#pieces = [];
    this.#buffered = 0;
    return body;
  }

  /** Begins to send what is buffered; waits while too many parts are on their way. */
  async #sendPart(): Promise<void> {
    this.#uploadId ??= await this.#begin();
    const number = ++this.#parts;
    const body = this.#take();
    const query = { partNumber: String(number), uploadId: this.#uploadId };
    const sending = this.#client.request({ method: 'PUT', key: this.#key, query, body, doing: 'write' })
      .then(({ headers }) => { this.#tags[number - 1] = headers.get('etag') ?? ''; }, (e: unknown) => { this.#failure ??= e; })
      .finally(() => { this.#inFlight.delete(sending); });
    this.#inFlight.add(sending);
    if (this.#inFlight.size >= PARTS_IN_FLIGHT_MAX) await Promise.race(this.#inFlight);
    if (this.#failure !== null) throw this.#failure;
  }

  async #begin(): Promise<string> {
    const { body } = await this.#client.request({ method: 'POST', key: this.#key, query: { uploads: '' }, doing: 'write' });
    const id = elementOf(new TextDecoder().decode(body), 'UploadId');
    if (id === null) throw new SqlError('58030', `could not write "${this.#client.url(this.#key)}": the answer names no upload`);
    return id;
  }

  async commit(): Promise<void> {
    if (this.#uploadId === null) {
      await this.#client.request({ method: 'PUT', key: this.#key, body: this.#take(), doing: 'write' });
      return;
    }
    if (this.#buffered > 0) await this.#sendPart();
    await Promise.all(this.#inFlight);
    if (this.#failure !== null) throw this.#failure;
    const parts = this.#tags.map((tag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${escapeXml(tag)}</ETag></Part>`).join('');
    const body = new TextEncoder().encode(`<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts}</CompleteMultipartUpload>`);
    const { status } = await this.#client.request({ method: 'POST', key: this.#key, query: { uploadId: this.#uploadId }, headers: { 'content-type': 'application/xml' }, body, accept: [404], doing: 'write' });
    if (status === 404) {
      // Completed by an earlier try whose answer was lost, or aborted by somebody else.
      const { status: head, headers } = await this.#client.request({ method: 'HEAD', key: this.#key, accept: [404], doing: 'look up' });
      if (head === 404 || Number(headers.get('content-length')) !== this.#bytes) throw new SqlError('58030', `could not write "${this.#client.url(this.#key)}": the upload was aborted`);
    }
    this.#uploadId = null;
  }

  async discard(): Promise<void> {
    await Promise.all(this.#inFlight);
    this.#pieces = [];
    const uploadId = this.#uploadId;
    if (uploadId !== null) await this.#client.request({ method: 'DELETE', key: this.#key, query: { uploadId }, accept: [404], doing: 'abort the upload of' }).catch(() => undefined);
    // A request that was given up may have got through.
    await this.#client.request({ method: 'DELETE', key: this.#key, accept: [404], doing: 'delete' }).catch(() => undefined);
  }
}
