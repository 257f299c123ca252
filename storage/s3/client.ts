/**
 * S3Client: signed requests to one bucket of Amazon S3 or a server that speaks its protocol. Signature V4 by aws4fetch, sent with fetch; the
 * body's SHA-256 is part of the signature, so that the server notices bytes damaged on the way.
 *
 * What may pass (5xx, 429, time-outs, connections that break) is tried ATTEMPTS_MAX times with growing, jittered pauses. What does not is an
 * SqlError that names bucket and key: 28000 for credentials and rights, 22023 for a bucket that does not exist or another region's, 58030 for
 * the rest. Requests are idempotent: each may be sent again.
 */
import { AwsV4Signer } from 'aws4fetch';
import { setTimeout as pause } from 'node:timers/promises';
import { SqlError } from '../../types/error.js';
import { elementOf } from './xml.js';

export interface S3Access {
  readonly bucket: string;
  /** Before every key, without '/' at its ends; '' = none. */
  readonly prefix: string;
  /** http(s)://host[:port]; null = Amazon's of the region. */
  readonly endpoint: string | null;
  readonly region: string;
  readonly pathStyle: boolean;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | null;
}

/** Named limits: tries of one request, pauses between them, and the time one try may take. */
const ATTEMPTS_MAX = 5;
const PAUSE_FIRST_MS = 100;
const PAUSE_MAX_MS = 2000;
const TIMEOUT_MS = 30_000;
/** A try with a body may take as much longer as the slowest link that is of use needs. */
const BYTES_PER_MS_MIN = 100;

export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** null = of the bucket itself. */
  readonly key: string | null;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Statuses that are an answer, beside 2xx. */
  readonly accept?: readonly number[];
  /** For messages: "write", "read", … */
  readonly doing: string;
}

export interface S3Response { readonly status: number; readonly headers: Headers; readonly body: Uint8Array }

export class S3Client {
  readonly access: S3Access;
  /** Derived signing keys, by day. */
  readonly #keys = new Map<string, ArrayBuffer>();
  readonly #base: URL;

  constructor(access: S3Access) {
    this.access = access;
    this.#base = baseUrl(access);
  }

  /** s3://bucket/key, for messages. */
  url(key: string | null): string { return key === null ? `s3://${this.access.bucket}` : `s3://${this.access.bucket}/${key}`; }

  async request(request: S3Request): Promise<S3Response> {
    for (let attempt = 1; ; attempt++) {
      let failure: SqlError;
      try {
        const response = await this.#send(request);
        if ((response.status >= 200 && response.status < 300 && !isLateError(request, response)) || request.accept?.includes(response.status) === true) return response;
        failure = this.#refusal(request, response);
        if (!passes(response)) throw failure;
      } catch (e) {
        if (e instanceof SqlError) throw e;
        failure = this.#unreachable(request, e);
      }
      if (attempt >= ATTEMPTS_MAX) throw failure;
      const most = Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** (attempt - 1));
      await pause(most * (0.5 + Math.random() / 2));
    }
  }

  async #send(request: S3Request): Promise<S3Response> {
    const { accessKeyId, secretAccessKey, sessionToken, region } = this.access;
    const url = new URL(this.#base);
    if (request.key !== null) url.pathname = `${url.pathname.replace(/\/$/, '')}/${request.key.split('/').map(encodePart).join('/')}`;
    for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value);
    // Spaces as %20: what the signature covers.
    url.search = url.search.replaceAll('+', '%20');
    const signer = new AwsV4Signer({
      method: request.method, url: url.href, headers: { ...request.headers, 'x-amz-content-sha256': await sha256(request.body) }, service: 's3', region, accessKeyId, secretAccessKey, cache: this.#keys,
      ...(sessionToken === null ? {} : { sessionToken }),
    });
    const signed = await signer.sign();
    const response = await fetch(signed.url, {
      method: request.method, headers: signed.headers, body: request.body === undefined ? null : request.body as Uint8Array<ArrayBuffer>, redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS + Math.ceil((request.body?.length ?? 0) / BYTES_PER_MS_MIN)),
    });
    return { status: response.status, headers: response.headers, body: new Uint8Array(await response.arrayBuffer()) };
  }

  #refusal(request: S3Request, { status, headers, body }: S3Response): SqlError {
    const text = new TextDecoder().decode(body);
    const code = elementOf(text, 'Code') ?? (status === 403 ? 'AccessDenied' : status === 404 ? 'NotFound' : `HTTP ${status}`);
    const message = `could not ${request.doing} "${this.url(request.key)}": ${code}`;
    const id = headers.get('x-amz-request-id');
    const detail = `${elementOf(text, 'Message') ?? `The server answered ${status}.`}${id === null ? '' : ` (request ${id})`}`;
    const { bucket, region, accessKeyId } = this.access;
    if (code === 'NoSuchBucket') return new SqlError('22023', message, { detail, hint: `Create bucket "${bucket}", or set checkpoint_storage to another one.` });
    if (status === 301 || status === 307 || code === 'PermanentRedirect' || code === 'AuthorizationHeaderMalformed' || code === 'IllegalLocationConstraintException') {
      return new SqlError('22023', message, { detail, hint: `Bucket "${bucket}" is in region ${headers.get('x-amz-bucket-region') ?? 'other than'} ${headers.has('x-amz-bucket-region') ? `, not ${region}` : region}: SET s3_region.` });
    }
    if (code === 'RequestTimeTooSkewed') return new SqlError('58030', message, { detail, hint: 'Set this machine\'s clock.' });
    if (code === 'InvalidAccessKeyId' || code === 'SignatureDoesNotMatch' || code === 'ExpiredToken' || code === 'InvalidToken' || status === 401) {
      return new SqlError('28000', message, { detail, hint: `Check the credentials (access key "${accessKeyId}"): s3_secret, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the server.` });
    }
    if (status === 403) return new SqlError('28000', message, { detail, hint: `Allow access key "${accessKeyId}" s3:GetObject, s3:PutObject, s3:DeleteObject, s3:ListBucket and s3:AbortMultipartUpload on bucket "${bucket}".` });
    return new SqlError('58030', message, { detail });
  }

  #unreachable(request: S3Request, e: unknown): SqlError {
    const cause = e instanceof Error && e.cause instanceof Error ? e.cause : e;
    const reason = cause instanceof Error ? (cause as { code?: string }).code ?? (cause.name === 'TimeoutError' ? 'it did not answer in time' : cause.message) : String(cause);
    return new SqlError('58030', `could not ${request.doing} "${this.url(request.key)}": ${reason}`, {
      detail: `${this.#base.origin} was asked ${ATTEMPTS_MAX} times.`, hint: 'Check s3_endpoint, and that the server runs and can be reached from here.', cause: e,
    });
  }
}

/** The bucket's URL: in the host name, or in the path where the host is an address or path style is set. */
function baseUrl({ endpoint, bucket, region, pathStyle }: S3Access): URL {
  const url = new URL(endpoint ?? `https://s3.${region}.amazonaws.com`);
  const isAddress = /^(\d+\.){3}\d+$|^\[|^localhost$/.test(url.hostname);
  // A name with dots does not match Amazon's wildcard certificate.
  if (pathStyle || isAddress || (url.protocol === 'https:' && bucket.includes('.'))) url.pathname = `${url.pathname.replace(/\/$/, '')}/${bucket}`;
  else url.hostname = `${bucket}.${url.hostname}`;
  return url;
}

function encodePart(part: string): string { return encodeURIComponent(part).replace(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`); }

/** Worth another try. */
function passes({ status, body }: S3Response): boolean {
  if (status >= 500 || status === 429 || status === 408) return true;
  const code = elementOf(new TextDecoder().decode(body), 'Code');
  return code === 'RequestTimeout' || code === 'SlowDown' || code === 'InternalError';
}

/** Completing an upload begins its answer before it is known whether it succeeds. */
function isLateError(request: S3Request, { body }: S3Response): boolean {
  return request.method === 'POST' && body.length > 0 && /^\s*(<\?xml[^>]*>\s*)?<Error[\s>]/.test(new TextDecoder().decode(body.subarray(0, 200)));
}

/** In a thread of its own: the task's goes on. */
async function sha256(body: Uint8Array | undefined): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', (body ?? new Uint8Array(0)) as Uint8Array<ArrayBuffer>)).toString('hex');
}
