/** Which function does a task of which phase. */
import {
  addTask as addConvolution,
  filterGradientTask,
  forwardTask,
  packTask as packConvolution,
} from './convolution';
import {
  applyTask,
  combineTask,
  gradientApplyTask,
  gradientCombineTask,
  gradientSumsTask,
  sumsTask,
} from './batch-norm';
import { dropTask } from './dropout';
import { binaryTask, convertTask, selectTask, unaryTask } from './elementwise';
import { normTask, writeTask } from './move';
import { averagePoolGradientTask, averagePoolTask, maxPoolGradientTask, maxPoolTask } from './pooling';
import { addTask, multiplyTask, packTask } from './product';
import {
  addBlocksTask,
  blockFiniteTask,
  blockMaximumTask,
  blockSumTask,
  sumBlockTask,
  sumColumnsTask,
} from './reductions';
import { competeTask, softmaxTask } from './softmax';
import {
  correlateTask,
  cotangentTask,
  exchangedTask,
  filterTask,
  gradientTask,
  imageTask,
  inputTask,
  outputTask,
  panelsTask,
  multiplyTask as winogradMultiply,
} from './winograd';

export const PRODUCT_PACK: i32 = 0;
export const PRODUCT_MULTIPLY: i32 = 1;
export const PRODUCT_ADD: i32 = 2;
export const CONV_PACK: i32 = 3;
export const CONV_FORWARD: i32 = 4;
export const CONV_GRADIENT: i32 = 5;
export const CONV_ADD: i32 = 6;
export const WINOGRAD_IMAGE: i32 = 40;
export const WINOGRAD_FILTER: i32 = 41;
export const WINOGRAD_EXCHANGED: i32 = 42;
export const WINOGRAD_MULTIPLY: i32 = 43;
export const WINOGRAD_OUTPUT: i32 = 44;
export const WINOGRAD_COTANGENT: i32 = 45;
export const WINOGRAD_INPUT: i32 = 46;
export const WINOGRAD_PANELS: i32 = 47;
export const WINOGRAD_CORRELATE: i32 = 48;
export const WINOGRAD_GRADIENT: i32 = 49;
export const COMPETE: i32 = 50;
export const NORM_SUMS: i32 = 10;
export const NORM_COMBINE: i32 = 11;
export const NORM_APPLY: i32 = 12;
export const NORM_GRADIENT_SUMS: i32 = 13;
export const NORM_GRADIENT_COMBINE: i32 = 14;
export const NORM_GRADIENT_APPLY: i32 = 15;
export const MOVE_NORM: i32 = 16;
export const MOVE_WRITE: i32 = 17;
export const UNARY: i32 = 20;
export const BINARY: i32 = 21;
export const SELECT: i32 = 22;
export const CONVERT: i32 = 23;
export const MAX_POOL: i32 = 24;
export const AVERAGE_POOL: i32 = 25;
export const MAX_POOL_GRADIENT: i32 = 26;
export const AVERAGE_POOL_GRADIENT: i32 = 27;
export const SUM_BLOCK: i32 = 28;
export const ADD_BLOCKS: i32 = 29;
export const SUM_COLUMNS: i32 = 30;
export const BLOCK_SUM: i32 = 31;
export const BLOCK_MAXIMUM: i32 = 32;
export const BLOCK_FINITE: i32 = 35;
export const SOFTMAX: i32 = 33;
export const DROP: i32 = 34;

export function perform(phase: i32, task: i32, thread: i32): void {
  switch (phase) {
    case PRODUCT_PACK:
      return packTask(task);
    case PRODUCT_MULTIPLY:
      return multiplyTask(task, thread);
    case PRODUCT_ADD:
      return addTask(task);
    case CONV_PACK:
      return packConvolution(task);
    case CONV_FORWARD:
      return forwardTask(task, thread);
    case CONV_GRADIENT:
      return filterGradientTask(task, thread);
    case CONV_ADD:
      return addConvolution(task);
    case WINOGRAD_IMAGE:
      return imageTask(task, thread);
    case WINOGRAD_FILTER:
      return filterTask(task, thread);
    case WINOGRAD_EXCHANGED:
      return exchangedTask(task, thread);
    case WINOGRAD_MULTIPLY:
      return winogradMultiply(task, thread);
    case WINOGRAD_OUTPUT:
      return outputTask(task, thread);
    case WINOGRAD_COTANGENT:
      return cotangentTask(task, thread);
    case WINOGRAD_INPUT:
      return inputTask(task, thread);
    case WINOGRAD_PANELS:
      return panelsTask(task, thread);
    case WINOGRAD_CORRELATE:
      return correlateTask(task, thread);
    case WINOGRAD_GRADIENT:
      return gradientTask(task, thread);
    case COMPETE:
      return competeTask(task);
    case NORM_SUMS:
      return sumsTask(task);
    case NORM_COMBINE:
      return combineTask(task);
    case NORM_APPLY:
      return applyTask(task);
    case NORM_GRADIENT_SUMS:
      return gradientSumsTask(task);
    case NORM_GRADIENT_COMBINE:
      return gradientCombineTask(task);
    case NORM_GRADIENT_APPLY:
      return gradientApplyTask(task);
    case MOVE_NORM:
      return normTask(task, thread);
    case MOVE_WRITE:
      return writeTask(task, thread);
    case UNARY:
      return unaryTask(task);
    case BINARY:
      return binaryTask(task);
    case SELECT:
      return selectTask(task);
    case CONVERT:
      return convertTask(task);
    case MAX_POOL:
      return maxPoolTask(task);
    case AVERAGE_POOL:
      return averagePoolTask(task);
    case MAX_POOL_GRADIENT:
      return maxPoolGradientTask(task);
    case AVERAGE_POOL_GRADIENT:
      return averagePoolGradientTask(task);
    case SUM_BLOCK:
      return sumBlockTask(task);
    case ADD_BLOCKS:
      return addBlocksTask(task);
    case SUM_COLUMNS:
      return sumColumnsTask(task);
    case BLOCK_SUM:
      return blockSumTask(task);
    case BLOCK_MAXIMUM:
      return blockMaximumTask(task);
    case BLOCK_FINITE:
      return blockFiniteTask(task);
    case DROP:
      return dropTask(task);
    case SOFTMAX:
      return softmaxTask(task);
  }
}
