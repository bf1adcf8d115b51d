/** The sizes of a layer as a rule sees them. */
export interface Units {
  /** D: inputs of one unit (kh·kw·cin for a convolution, kh·kw for a depthwise one). */
  readonly fanIn: number;
  /** K: units (output channels). */
  readonly fanOut: number;
  /**
   * Sets of units that share their inputs: 1, or cin for a depthwise convolution, whose units are grouped by channel.
   */
  readonly groups: number;
}
