//! What the server does in one step.

/// Makes a group. Keys: the stream. Arguments: the group, the id behind which it begins. It is said how many entries
/// there were up to there, which the server does not find out by itself and `TAKE` goes by; not where that would take
/// long.
pub(super) const CREATE: &str = "
    local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
    if made.err then return made end
    local told = redis.call('XINFO', 'STREAM', KEYS[1])
    local stream = {}
    for at = 1, #told, 2 do stream[told[at]] = told[at + 1] end
    local added = stream['entries-added']
    if not added then return 1 end
    local gone = added - stream['length']
    local read
    if ARGV[2] == '$' then read = added
    elseif ARGV[2] == '0-0' then read = gone
    elseif stream['length'] <= 10000 then read = gone + #redis.call('XRANGE', KEYS[1], '-', ARGV[2])
    end
    if read then redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], ARGV[2], 'ENTRIESREAD', read) end
    return 1";

/// How a stream stands. Keys: the stream. Answers nothing where there is none; else how many entries it has, the oldest
/// id and the latest, and how many entries there ever were, as a text that is empty where nobody knows: before Redis 7,
/// and where somebody deleted entries one by one. What `XINFO` itself answers has two whole events in it.
pub(super) const STAND: &str = "
    if redis.call('EXISTS', KEYS[1]) == 0 then return false end
    local told = redis.call('XINFO', 'STREAM', KEYS[1])
    local stream = {}
    for at = 1, #told, 2 do stream[told[at]] = told[at + 1] end
    local first = stream['first-entry']
    local added = stream['max-deleted-entry-id'] == '0-0' and string.format('%.0f', stream['entries-added'])
    return {stream['length'], first and first[1] or '', stream['last-generated-id'], added or ''}";

/// Takes one event of a group: one that was to come again by now, or else one that nobody has vouched for, or else a
/// new one. Keys: the stream, when what is due. Arguments: the group, who takes it, for how many milliseconds nobody
/// vouched. Answers how many events a bound took that were still to come to the group, and the oldest id that is kept
/// (empty where none is): the group stands behind them then, so that it is told once. Where none went: 0 and the id
/// behind which what is new to the group lies; then, where there is an event, its id, how often it was delivered with
/// this time, and its fields.
///
/// How many went is known from Redis 7 on, which counts the entries that there ever were and those that a group read;
/// not where somebody deleted entries one by one. New ones are read in the same step: what goes between a look and a
/// reading would be passed over by the server's own count. That count is set with each: a server does not write down by
/// itself that a group has read something, and would have it wrong when it is back.
pub(super) const TAKE: &str = "
    local function named(list)
        local map = {}
        for at = 1, #list, 2 do map[list[at]] = list[at + 1] end
        return map
    end
    local function behind(lost)
        local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
        return {lost, first and first[1] or ''}
    end
    local group
    if redis.call('EXISTS', KEYS[1]) == 1 then
        for _, told in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
            local one = named(told)
            if one['name'] == ARGV[1] then group = one end
        end
    end
    if not group then return redis.error_reply('NOGROUP there is no such group') end
    local stream = named(redis.call('XINFO', 'STREAM', KEYS[1]))
    local read, got = group['entries-read'], group['last-delivered-id']
    local counts = read and stream['max-deleted-entry-id'] == '0-0'
    local gone = counts and stream['entries-added'] - stream['length']
    if counts and read < gone then
        local kept = #redis.call('XRANGE', KEYS[1], '-', got)
        if kept > 0 then
            -- It had what went, and the server has forgotten that. Told at once: counting costs more than taking.
            read = gone + kept
            redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], got, 'ENTRIESREAD', read)
        end
    end
    if counts and read < gone then
        local first = stream['first-entry']
        if first then
            local milliseconds, number = string.match(first[1], '(%d+)-(%d+)')
            if number ~= '0' then
                got = milliseconds .. '-' .. string.format('%.0f', number - 1)
            else
                got = string.format('%.0f', milliseconds - 1) .. '-18446744073709551615'
            end
        else
            got = stream['last-generated-id']
        end
        redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], got, 'ENTRIESREAD', gone)
        return behind(gone - read)
    end
    local clock = redis.call('TIME')
    local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
    local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 10)
    if #ids == 0 then
        for _, unheard in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], '-', '+', 10)) do
            if not redis.call('ZSCORE', KEYS[2], unheard[1]) then ids[#ids + 1] = unheard[1] end
        end
    end
    for _, id in ipairs(ids) do
        redis.call('ZREM', KEYS[2], id)
        local owed = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)
        local taken = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id)
        local pending = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)
        if taken[1] and pending[1] then return {0, got, id, pending[1][4], taken[1][2]} end
        if owed[1] and not taken[1] then
            -- It is no longer kept; older servers would keep it as pending for ever.
            redis.call('XACK', KEYS[1], ARGV[1], id)
            return behind(1)
        end
    end
    local new = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', KEYS[1], '>')
    local entry = new and new[1] and new[1][2][1]
    if entry and entry[2] then
        if counts then redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], entry[1], 'ENTRIESREAD', read + 1) end
        return {0, got, entry[1], 1, entry[2]}
    end
    return {0, got}";

/// Has an event come again after a while. Keys: when what is due. Arguments: the event's id, and after how many
/// milliseconds.
pub(super) const RETRY: &str = "
    local clock = redis.call('TIME')
    redis.call('ZADD', KEYS[1], clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[2], ARGV[1])
    return 1";

/// Gives back all that one has who goes, and forgets it. What is to come again later stays so. Keys: the stream, when
/// what is due. Arguments: the group, who goes.
pub(super) const LEAVE: &str = "
    while true do
        local held = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 100, ARGV[2])
        if #held == 0 then break end
        for _, entry in ipairs(held) do
            redis.call('ZADD', KEYS[2], 'NX', 0, entry[1])
            redis.call('XCLAIM', KEYS[1], ARGV[1], 'nobody', 0, entry[1], 'JUSTID')
            -- One that is no longer kept is taken over by nobody.
            if #redis.call('XPENDING', KEYS[1], ARGV[1], entry[1], entry[1], 1, ARGV[2]) > 0 then
                redis.call('XACK', KEYS[1], ARGV[1], entry[1])
            end
        end
    end
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
    return 1";
