/**
 * Where checkpoints and savepoints are: a path, file://… or s3://bucket/prefix, with what is needed to reach it, as plain data (it crosses
 * threads). `storageLocation` reads it from settings and environment; `openStore` opens it.
 */
import { fileURLToPath } from 'node:url';
import { SqlError } from '../types/error.js';
import type { Secrets } from '../types/secretref.js';
import type { FileStore } from './filestore.js';
import type { FileSystem } from './filesystem.js';
import { localStore } from './localstore.js';
import { S3Client, type S3Access } from './s3/client.js';
import { s3Store } from './s3/store.js';

export interface StorageLocation {
  /** Path of a folder, or s3://bucket/prefix. */
  readonly root: string;
  /** Of s3:// only. */
  readonly s3: S3Access | null;
}

/** The settings that say how s3:// is reached. */
export interface S3Settings {
  readonly s3_endpoint: string;
  readonly s3_region: string;
  readonly s3_path_style: boolean;
  readonly s3_secret: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Throws 22023 for what is no place for files, 28000 when credentials are missing, 42704 for an unknown secret. */
export function storageLocation(where: string, settings: S3Settings, secrets: Secrets, env: Environment = process.env): StorageLocation {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(where)?.[1]?.toLowerCase();
  if (scheme === undefined) return { root: where.length > 1 ? where.replace(/\/+$/, '') : where, s3: null };
  if (scheme === 'file') {
    try {
      return { root: fileURLToPath(where).replace(/(.)\/+$/, '$1'), s3: null };
    } catch (e) {
      throw new SqlError('22023', `"${where}" is no file URL`, { detail: e instanceof Error ? e.message : undefined, hint: 'Write file:///path/of/folder.', cause: e });
    }
  }
  if (scheme !== 's3' && scheme !== 's3a') throw new SqlError('22023', `storage "${where}" is not supported`, { hint: 'A path, file:///path or s3://bucket/prefix.' });
  return { root: where.replace(/\/+$/, ''), s3: s3Access(where, settings, secrets, env) };
}

function s3Access(where: string, settings: S3Settings, secrets: Secrets, env: Environment): S3Access {
  const match = /^s3a?:\/\/([^/?#]+)(?:\/([^?#]*))?$/i.exec(where);
  if (match === null || !/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(match[1])) throw new SqlError('22023', `"${where}" is no S3 location`, { hint: 'Write s3://bucket/prefix; endpoint and region are settings (s3_endpoint, s3_region).' });
  const endpoint = settings.s3_endpoint !== '' ? settings.s3_endpoint : env['AWS_ENDPOINT_URL_S3'] ?? env['AWS_ENDPOINT_URL'] ?? '';
  if (endpoint !== '' && !/^https?:\/\/[^/]/.test(endpoint)) throw new SqlError('22023', `s3_endpoint "${endpoint}" is no http:// or https:// URL`, { hint: 'SET s3_endpoint = \'https://host:port\';' });
  return {
    bucket: match[1], prefix: (match[2] ?? '').replace(/\/+$/, ''), endpoint: endpoint === '' ? null : endpoint.replace(/\/+$/, ''),
    region: settings.s3_region !== '' ? settings.s3_region : env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? 'us-east-1',
    pathStyle: settings.s3_path_style, ...credentials(where, settings.s3_secret, secrets, env),
  };
}

function credentials(where: string, secret: string, secrets: Secrets, env: Environment): Pick<S3Access, 'accessKeyId' | 'secretAccessKey' | 'sessionToken'> {
  if (secret === '') {
    const accessKeyId = env['AWS_ACCESS_KEY_ID'];
    const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'];
    if (accessKeyId === undefined || accessKeyId === '' || secretAccessKey === undefined || secretAccessKey === '') {
      throw new SqlError('28000', `no credentials for "${where}"`, {
        detail: 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not in the server\'s environment.',
        hint: 'Set them, or CREATE SECRET name WITH (access_key_id = \'…\', secret_access_key = \'…\'); and SET s3_secret = \'name\';',
      });
    }
    return { accessKeyId, secretAccessKey, sessionToken: env['AWS_SESSION_TOKEN'] ?? null };
  }
  const content = secrets(secret);
  if (content === null) throw new SqlError('42704', `secret "${secret}" does not exist`, { hint: `CREATE SECRET ${secret} WITH (access_key_id = '…', secret_access_key = '…');` });
  const accessKeyId = content['access_key_id'];
  const secretAccessKey = content['secret_access_key'];
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new SqlError('22023', `secret "${secret}" has no credentials for S3`, { hint: 'It needs access_key_id and secret_access_key, and session_token where there is one.' });
  }
  return { accessKeyId, secretAccessKey, sessionToken: content['session_token'] ?? null };
}

export function openStore(location: StorageLocation, files: FileSystem): FileStore {
  return location.s3 === null ? localStore(files, location.root) : s3Store(location.root, new S3Client(location.s3));
}
