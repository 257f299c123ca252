/** The little of XML that S3's answers are: elements without attributes of interest, entities in their text. */

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: '\'' };

export function unescapeXml(text: string): string {
  return text.replace(/&(#x[0-9a-f]+|#\d+|\w+);/gi, (whole, name: string) => {
    if (name.startsWith('#x') || name.startsWith('#X')) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name.startsWith('#')) return String.fromCodePoint(Number(name.slice(1)));
    return ENTITIES[name] ?? whole;
  });
}

export function escapeXml(text: string): string { return text.replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`); }

/** Content of the first element of that name; null when there is none. */
export function elementOf(xml: string, name: string): string | null {
  const content = contentsOf(xml, name)[0];
  return content === undefined ? null : unescapeXml(content);
}

/** Raw contents of all elements of that name, in order. */
export function contentsOf(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, 'g'))].map(m => m[1]);
}
