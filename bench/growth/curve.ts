/** What a growth curve is: points of some series over a number that grows, kept as JSON lines and drawn as pictures. */
export interface Point {
  readonly series: string;
  readonly x: number;
  readonly y: number;
  /** Everything else that was measured. */
  readonly more: Readonly<Record<string, number>>;
}

export interface Picture {
  /** Of the file: docs/pictures/growth-<name>.svg. */
  readonly name: string;
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly yLog: boolean;
  /** Which of the curve's series it shows. */
  readonly series: readonly string[];
}

export interface Curve {
  readonly name: string;
  readonly pictures: readonly Picture[];
  /** Gives its points to `give` as they are measured. */
  run(scale: Scale, give: Give): Promise<void>;
}

export type Give = (series: string, x: number, y: number, more: Readonly<Record<string, number>>) => void;

export interface Scale {
  /** A try-out: fewer and smaller points. */
  readonly quick: boolean;
  readonly events: number;
}
