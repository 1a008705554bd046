-- One suggestion as text: what it begins with, what it replaces, how much of it stands in the
-- buffer already. Typing, deleting and partial acceptance move along it; it never changes itself.
local M = {}

---@class umbrella.Suggestion
---@field item table the server's item
---@field client vim.lsp.Client
---@field row integer 0-based line where the text begins
---@field col integer 0-based byte in that line
---@field head string what is before it in that line; others must not have changed this
---@field text string everything, from `row` and `col` on
---@field replaced string after the cursor: what the text takes the place of
---@field kept string the rest of the line
---@field breaks integer how many line breaks the text has
---@field places? integer[] byte of `text` at which each byte of `replaced` comes again
local Suggestion = {}
Suggestion.__index = Suggestion

--- Find the bytes of `needle` in `text` in their order, each as late as possible.
---@param text string
---@param needle string
---@return integer[]? places nil where they are not all there
local function places_of(text, needle)
  local places, place = {}, #text
  for index = #needle, 1, -1 do
    while place > 0 and text:byte(place) ~= needle:byte(index) do
      place = place - 1
    end
    if place == 0 or needle:byte(index) > 127 then -- a part of a character is none
      return nil
    end
    places[index] = place
    place = place - 1
  end
  return places
end

--- Make a suggestion of an item that answers `request`; nil where it cannot be shown there.
---@param item table
---@param request umbrella.Request
---@return umbrella.Suggestion?
function M.new(item, request)
  if type(item.insertText) ~= 'string' then
    return nil -- a snippet
  end
  local row, col, encoding = request.row, request.col, request.client.offset_encoding
  local line = vim.api.nvim_buf_get_lines(request.bufnr, row, row + 1, false)[1] or ''
  local from, to = col, col
  if item.range then
    local range = item.range
    if range.start.line ~= row or range['end'].line ~= row then
      return nil
    end
    from = vim.str_byteindex(line, encoding, range.start.character, false)
    to = vim.str_byteindex(line, encoding, range['end'].character, false)
  end
  local text = item.insertText:gsub('\r\n?', '\n')
  local typed = line:sub(from + 1, col)
  if from > col or to < col or #text <= #typed or not vim.startswith(text, typed) then
    return nil
  end
  local replaced = line:sub(col + 1, to)
  return setmetatable({
    item = item,
    client = request.client,
    row = row,
    col = from,
    head = line:sub(1, from),
    text = text,
    replaced = replaced,
    kept = line:sub(to + 1),
    breaks = select(2, text:gsub('\n', '')),
    places = places_of(text, replaced),
  }, Suggestion)
end

--- How many bytes of `replaced` are no longer after the cursor once `length` bytes of the text are
--- in the buffer.
---@param length integer
---@return integer
function Suggestion:consumed(length)
  if not self.places then
    return length >= #self.text and #self.replaced or 0
  end
  local count = 0
  for _, place in ipairs(self.places) do
    count = place <= length and count + 1 or count
  end
  return count
end

--- Whether a place can lie within the text.
---@param row integer
---@param col integer
---@return boolean
function Suggestion:reaches(row, col)
  local line = row - self.row
  return line > 0 and line <= self.breaks or line == 0 and col >= self.col
end

--- How many bytes of the text stand before the cursor; nil where the buffer has become different.
---@param bufnr integer
---@param row integer
---@param col integer
---@return integer?
function Suggestion:typed(bufnr, row, col)
  if not self:reaches(row, col) then
    return nil
  end
  local lines = vim.api.nvim_buf_get_lines(bufnr, self.row, row + 1, false)
  local after = (lines[#lines] or ''):sub(col + 1)
  lines[#lines] = (lines[#lines] or ''):sub(1, col)
  local before = table.concat(lines, '\n')
  local typed = before:sub(#self.head + 1)
  local same = vim.startswith(before, self.head) and vim.startswith(self.text, typed)
  local expected = self.replaced:sub(self:consumed(#typed) + 1) .. self.kept
  return same and after == expected and #typed or nil
end

---@alias umbrella.Part 'all'|'line'|'word'

--- How many bytes are in the buffer after a part of the rest is accepted.
---@param part umbrella.Part
---@param length integer how many are there now
---@return integer
function Suggestion:until_part(part, length)
  local rest = self.text:sub(length + 1)
  local piece = rest
  if part == 'line' then
    piece = rest:match('^\n?[^\n]*')
  elseif part == 'word' then
    -- a run of keyword characters or of others, with the white space before it
    piece = vim.fn.matchstr(rest, [[^\_s*\%(\k\+\|\%(\k\@!\S\)\+\)]])
    piece = piece ~= '' and piece or rest
  end
  return length + #piece
end

return M
