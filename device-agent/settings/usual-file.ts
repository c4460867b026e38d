/** Where the agent looks for its settings when nobody names another file; there need not be one. */
export const usualSettingsFile = '/etc/touchmark/agent.json'
