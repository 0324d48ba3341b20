/** Options of Node for the agent, the same on every board: its peak memory stays low, buffers are collected sooner. */
export const agentNodeOptions: readonly string[] = ['--max-old-space-size=32', '--max-semi-space-size=1']
