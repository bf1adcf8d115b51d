/** The sizes of a layer as a rule sees them. */
export interface Units {
  /** D: inputs of one unit (kh·kw·cin for a convolution, kh·kw for a depthwise one). */
  readonly fanIn: number;
  /** K: units (output channels). */
  readonly fanOut: number;
  /** Positions of the kernel: kh·kw for a convolution, 1 for a dense layer. D is taps × channels that a unit sees. */
  readonly taps: number;
  /**
   * Sets of units that share their inputs: 1, or cin for a depthwise convolution, whose units are grouped by channel.
   */
  readonly groups: number;
}
