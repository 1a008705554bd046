-- Where the server is on its way to ready, as it says itself, and a word of that for status lines.
local config = require('umbrella.config')

local M = {}

---@alias umbrella.Phase
---| 'starting' | 'downloading' | 'converting' | 'loading'
---| 'ready' | 'failed' | 'backend-down' | 'stopped'

---@class umbrella.State
---@field phase umbrella.Phase
---@field message? string one sentence for a person
---@field percent? integer
---@field reason? string why nothing was shown last, '' otherwise

---@type umbrella.State
M.state = { phase = 'stopped', message = 'the server was not started yet' }

local ICON = '☂'

--- Take the server's word.
---@param state umbrella.State
function M.receive(state)
  for key, value in pairs(state) do
    state[key] = value ~= vim.NIL and value or nil
  end
  M.state = state
  require('umbrella.events').fire('Status', state)
  vim.cmd.redrawstatus()
end

--- What to show of it in the status line of a buffer; a percent sign is doubled, as status lines
--- want it.
---@param bufnr? integer
---@return string
function M.line(bufnr)
  if not config.enabled(bufnr or vim.api.nvim_get_current_buf()) then
    return ICON .. ' off'
  end
  local state = M.state
  if state.phase == 'ready' then
    return ICON
  end
  local percent = state.percent and (' %d%%%%'):format(state.percent) or ''
  return ('%s %s%s'):format(ICON, state.phase, percent)
end

return M
