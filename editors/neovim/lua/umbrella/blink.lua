-- Source for blink.cmp:
-- sources.providers.umbrella = { name = 'Umbrella', module = 'umbrella.blink', async = true }
local source = require('umbrella.source')

---@class umbrella.Blink
local M = {}

---@return umbrella.Blink
function M.new()
  return setmetatable({}, { __index = M })
end

---@return boolean
function M:enabled()
  return source.available(vim.api.nvim_get_current_buf())
end

---@param context { bufnr: integer, cursor: [integer, integer] }
---@param callback fun(response: table)
---@return fun() cancel
function M:get_completions(context, callback)
  local row, col = context.cursor[1] - 1, context.cursor[2]
  return source.ask(context.bufnr, row, col, function(items)
    callback({
      items = items,
      is_incomplete_forward = true,
      is_incomplete_backward = true,
    })
  end)
end

--- Accept an item: insert it as blink.cmp does, then tell the server.
---@param context { bufnr: integer }
---@param item lsp.CompletionItem
---@param callback fun()
---@param default fun()
function M:execute(context, item, callback, default)
  default()
  local client = require('umbrella.server').client(context.bufnr)
  if client and item.command then
    client:exec_cmd(item.command, { bufnr = context.bufnr })
  end
  callback()
end

return M
