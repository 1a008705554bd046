-- Tells the server, and whoever listens to the events, what became of a suggestion.
local events = require('umbrella.events')

local M = {}

--- It is on the screen.
---@param suggestion umbrella.Suggestion
---@param length integer bytes of it that are in the buffer
---@param bufnr integer
function M.shown(suggestion, length, bufnr)
  suggestion.client:notify('textDocument/didShowCompletion', { item = suggestion.item })
  events.fire('Shown', { bufnr = bufnr, text = suggestion.text:sub(length + 1) })
end

--- It, or a part of it, was accepted.
---@param suggestion umbrella.Suggestion
---@param length integer bytes of it that are in the buffer now
---@param data { bufnr: integer, text: string, part: umbrella.Part }
function M.accepted(suggestion, length, data)
  local client, item = suggestion.client, suggestion.item
  if length < #suggestion.text then
    local units = vim.str_utfindex(suggestion.text, 'utf-16', length, false)
    local params = { item = item, acceptedLength = units }
    client:notify('textDocument/didPartiallyAcceptCompletion', params)
  elseif item.command then
    client:exec_cmd(item.command, { bufnr = data.bufnr })
  end
  events.fire('Accepted', data)
end

return M
