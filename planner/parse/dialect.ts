import type { Piece } from './split.js';
export function dialectHint(_: Piece): string | null { return null; }
