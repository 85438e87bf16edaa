//! What the server does in one step.

/// Makes a group that begins with what comes from now on. Keys: the stream. Arguments: the group. It is said how many
/// entries there were before, which the server does not find out by itself and `TAKE_DUE` goes by.
pub(super) const CREATE_AT_END: &str = "
    redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '$', 'MKSTREAM')
    local stream = redis.call('XINFO', 'STREAM', KEYS[1])
    for at = 1, #stream, 2 do
        if stream[at] == 'entries-added' then
            redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], '$', 'ENTRIESREAD', stream[at + 1])
        end
    end
    return 1";

/// Takes over one event of a group that is due: one that was to come again by now, or else one that nobody has vouched
/// for. Keys: the stream, when what is due. Arguments: the group, who takes it, for how many milliseconds nobody
/// vouched. Answers how many events a bound took that were still to come to the group, and the oldest id that is kept
/// (empty where none is): the group stands behind them then, so that it is told once. Then, where none went, the id of
/// what is taken over, how often it was delivered with this time, and its fields.
///
/// How many went is known from Redis 7 on, which counts the entries that there ever were and those that a group read;
/// not where somebody deleted entries one by one.
pub(super) const TAKE_DUE: &str = "
    local function named(list)
        local map = {}
        for at = 1, #list, 2 do map[list[at]] = list[at + 1] end
        return map
    end
    local function behind(lost)
        local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
        return {lost, first and first[1] or ''}
    end
    local stream = named(redis.call('XINFO', 'STREAM', KEYS[1]))
    if stream['max-deleted-entry-id'] == '0-0' then
        local gone = stream['entries-added'] - stream['length']
        for _, told in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
            local group = named(told)
            local read = group['entries-read']
            if group['name'] == ARGV[1] and read and read < gone then
                local first = stream['first-entry']
                local before = stream['last-generated-id']
                if first then
                    local milliseconds, number = string.match(first[1], '(%d+)-(%d+)')
                    if number ~= '0' then
                        before = milliseconds .. '-' .. string.format('%.0f', number - 1)
                    else
                        before = string.format('%.0f', milliseconds - 1) .. '-18446744073709551615'
                    end
                end
                redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], before, 'ENTRIESREAD', gone)
                return behind(gone - read)
            end
        end
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
        if taken[1] and pending[1] then return {0, '', id, pending[1][4], taken[1][2]} end
        if owed[1] and not taken[1] then return behind(1) end
    end
    return {0, ''}";

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
