-- What the sources for completion menus have in common: a request, and items of the protocol's
-- ordinary kind made of the answer.
local requests = require('umbrella.requests')
local server = require('umbrella.server')
local Suggestion = require('umbrella.suggestion')

local M = {}

-- Menus compare what is typed with an item's text from the start of its range on, so that an item
-- begins with the line's first word and not at the cursor.
---@param suggestion umbrella.Suggestion
---@param request umbrella.Request
---@return lsp.CompletionItem
local function entry(suggestion, request)
  local encoding = request.client.offset_encoding
  local line = vim.api.nvim_buf_get_lines(request.bufnr, request.row, request.row + 1, false)[1]
  local from = math.min(#line:match('^%s*'), suggestion.col)
  local text = suggestion.head:sub(from + 1) .. suggestion.text
  local function position(col)
    return { line = request.row, character = vim.str_utfindex(line, encoding, col, false) }
  end
  local code = ('```%s\n%s\n```'):format(vim.bo[request.bufnr].filetype, text)
  return {
    label = vim.split(text, '\n', { plain = true })[1],
    kind = vim.lsp.protocol.CompletionItemKind.Text,
    filterText = text,
    insertTextFormat = vim.lsp.protocol.InsertTextFormat.PlainText,
    textEdit = {
      newText = text,
      range = { start = position(from), ['end'] = position(request.col + #suggestion.replaced) },
    },
    documentation = { kind = 'markdown', value = code },
    command = suggestion.item.command,
  }
end

--- Whether there is a server for a buffer and it is not switched off there.
---@param bufnr integer
---@return boolean
function M.available(bufnr)
  local enabled = require('umbrella.config').enabled(bufnr)
  return enabled and server.client(bufnr) ~= nil
end

--- Ask for menu items at a place; `row` and `col` count from 0.
---@param bufnr integer
---@param row integer
---@param col integer
---@param reply fun(items: lsp.CompletionItem[], encoding: string)
---@return fun() cancel
function M.ask(bufnr, row, col, reply)
  local client = server.client(bufnr)
  if not client then
    reply({}, 'utf-8')
    return function() end
  end
  local request = { client = client, bufnr = bufnr, row = row, col = col, explicit = false }
  return requests.ask(request, function(items)
    local entries = {}
    for _, item in ipairs(items or {}) do
      local suggestion = Suggestion.new(item, request)
      if suggestion then
        table.insert(entries, entry(suggestion, request))
      end
    end
    reply(entries, client.offset_encoding)
  end)
end

return M
