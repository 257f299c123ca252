import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileStoreSuite } from './filestoresuite.js';
import { realFiles } from './filesystem.js';
import { localStore } from './localstore.js';

const root = mkdtempSync(join(tmpdir(), 'millrace-files-'));
after(() => { rmSync(root, { recursive: true, force: true }); });
let folders = 0;

fileStoreSuite('folder', () => localStore(realFiles, join(root, String(folders++))));
