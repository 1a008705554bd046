-- Where the cursor is, in which state of the text, and whether it is a moment to show anything.
local config = require('umbrella.config')
local menu = require('umbrella.menu')

local M = {}

---@return integer bufnr
---@return integer row 0-based
---@return integer col 0-based byte
function M.here()
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  return vim.api.nvim_get_current_buf(), row - 1, col
end

--- A name for this place in this state of the text: different as soon as either is.
---@return string
function M.place()
  local bufnr, row, col = M.here()
  return ('%d %d %d %d'):format(bufnr, vim.api.nvim_buf_get_changedtick(bufnr), row, col)
end

--- Whether somebody inserts text, by hand, with no menu open.
---@return boolean
function M.is_wanted()
  return vim.api.nvim_get_mode().mode:sub(1, 1) == 'i'
    and vim.fn.reg_executing() == ''
    and not (config.options.hide_with_menu and menu.is_open())
end

return M
