-- Source for nvim-cmp: require('cmp').register_source('umbrella', require('umbrella.cmp').new())
local source = require('umbrella.source')

---@class umbrella.Cmp
---@field private cancel fun()
local M = {}

---@return umbrella.Cmp
function M.new()
  return setmetatable({ cancel = function() end }, { __index = M })
end

---@return boolean
function M:is_available()
  return source.available(vim.api.nvim_get_current_buf())
end

--- Every key may change what is suggested, not only the first of a word.
---@return string
function M:get_keyword_pattern()
  return [[\k*]]
end

---@return string[]
function M:get_trigger_characters()
  return vim.split(' .,:;()[]{}=+-*/<>"\'', '')
end

---@param params { context: { bufnr: integer, cursor: { line: integer, col: integer } } }
---@param callback fun(response: table)
function M:complete(params, callback)
  self.cancel()
  local context = params.context
  local row, col = context.cursor.line, context.cursor.col - 1
  self.cancel = source.ask(context.bufnr, row, col, function(items)
    callback({ items = items, isIncomplete = true })
  end)
end

---@param item lsp.CompletionItem
---@param callback fun(item: lsp.CompletionItem)
function M:execute(item, callback)
  local bufnr = vim.api.nvim_get_current_buf()
  local client = require('umbrella.server').client(bufnr)
  if client and item.command then
    client:exec_cmd(item.command, { bufnr = bufnr })
  end
  callback(item)
end

return M
