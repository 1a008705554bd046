-- Paints a layout at the cursor with extmarks, and takes it away again.
local M = {}

local namespace = vim.api.nvim_create_namespace('umbrella')
local HIGHLIGHT, MORE = 'UmbrellaSuggestion', 'UmbrellaMore'

function M.highlights()
  local hint = vim.fn.hlexists('ComplHint') == 1
  vim.api.nvim_set_hl(0, HIGHLIGHT, { default = true, link = hint and 'ComplHint' or 'NonText' })
  vim.api.nvim_set_hl(0, MORE, { default = true, link = hint and 'ComplHintMore' or 'MoreMsg' })
end

--- Tabs are shown as wide as they will be; virtual text has none.
---@param text string
---@param bufnr integer
---@param column integer screen column at which it begins
---@return string
local function expand(text, bufnr, column)
  local stop = vim.bo[bufnr].tabstop
  local shown, width = {}, column
  for piece, tab in text:gmatch('([^\t]*)(\t?)') do
    width = width + vim.fn.strdisplaywidth(piece, width)
    local spaces = tab ~= '' and stop - width % stop or 0
    table.insert(shown, piece .. (' '):rep(spaces))
    width = width + spaces
  end
  return table.concat(shown)
end

--- Paint; `more` is a note on further suggestions, '' for none.
---@param bufnr integer
---@param row integer
---@param col integer
---@param layout umbrella.Layout
---@param more string
function M.show(bufnr, row, col, layout, more)
  vim.api.nvim_buf_clear_namespace(bufnr, namespace, 0, -1)
  local line = vim.api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1] or ''
  local below = {}
  for index, text in ipairs(layout.below) do
    below[index] = { { expand(text, bufnr, 0), HIGHLIGHT } }
  end
  if layout.tail ~= '' then
    table.insert(below[#below], { expand(layout.tail, bufnr, 0) })
  end
  for _, piece in ipairs(layout.pieces) do
    local column = vim.fn.strdisplaywidth(line:sub(1, col + piece[1]))
    vim.api.nvim_buf_set_extmark(bufnr, namespace, row, col + piece[1], {
      virt_text = { { expand(piece[2], bufnr, column), HIGHLIGHT } },
      virt_text_pos = 'inline',
      hl_mode = 'combine',
    })
  end
  if layout.overlay then
    local column = vim.fn.strdisplaywidth(line:sub(1, col))
    local text = expand(layout.overlay, bufnr, column)
    local missing = vim.fn.strdisplaywidth(layout.covered, column) - vim.fn.strdisplaywidth(text)
    vim.api.nvim_buf_set_extmark(bufnr, namespace, row, col, {
      virt_text = { { text .. (' '):rep(missing), HIGHLIGHT } },
      virt_text_pos = 'overlay',
      hl_mode = 'replace',
    })
  end
  vim.api.nvim_buf_set_extmark(bufnr, namespace, row, col, {
    virt_lines = #below > 0 and below or nil,
    virt_text = more ~= '' and { { more, MORE } } or nil,
    virt_text_pos = 'eol',
  })
end

---@param bufnr integer
function M.clear(bufnr)
  if vim.api.nvim_buf_is_valid(bufnr) then
    vim.api.nvim_buf_clear_namespace(bufnr, namespace, 0, -1)
  end
end

return M
